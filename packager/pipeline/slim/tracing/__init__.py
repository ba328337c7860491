"""Observation of the function at work: what it opens and imports."""
