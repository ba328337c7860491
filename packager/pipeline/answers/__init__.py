"""Comparison of two answers, and how far a model's own part."""
