"""Imports of an artifact's modules and libraries: an index, one archive, a compressed store.

They are served while a function starts; no request passes here.
"""
