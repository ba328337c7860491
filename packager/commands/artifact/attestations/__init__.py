"""Statements about an artifact that others can check: in-toto statements, signed as DSSE envelopes.

What is stated is in statements.py, how it is written in envelopes.py, by whom in keys.py, and what
a reader asks of it in policy.py. docs/reference/attestations.md specifies all that is written.
"""
