"""Rules, each in a module of its own."""
