"""Requirement lines: read as people have them, refused, chosen, and their pins loosened."""
