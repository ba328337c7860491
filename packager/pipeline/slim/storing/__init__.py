"""Bytecode and the compressed store, which the function imports from."""
