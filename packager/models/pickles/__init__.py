"""Pickles in a model's files: names in their opcodes and their code; none of it is run."""
