"""Reads fitted transformers, and what leads a table through several: one file a family."""
