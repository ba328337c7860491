"""Reads fitted estimators: one file a family."""
