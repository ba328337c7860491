"""Mutants that were read and change nothing that a test could see, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EQUIVALENT: Final[Mapping[str, Mapping[str, str]]] = {}
"""By module: `the line's text | what is changed`, and why it is no change."""
