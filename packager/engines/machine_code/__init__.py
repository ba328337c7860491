"""A model as machine code: read into a form of typed operations, written as C, compiled."""
