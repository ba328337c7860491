"""Rules of rules."""
