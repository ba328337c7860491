"""Shared libraries: those that are needed, and their size."""
