"""Rows made for a model, its answers, and the comparison that any engine has to pass."""
