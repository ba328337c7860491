"""Modules by which an artifact imports itself: an index, one archive, a compressed store."""
