"""Moves imports in bytecode to where they are used; runs under the target's Python."""
