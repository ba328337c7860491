"""Interpreters, lock files and installed environments."""
