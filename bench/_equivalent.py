"""Mutants that were read and change nothing that a test could see, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EQUIVALENT: Final[Mapping[str, Mapping[str, str]]] = {
    "handlers/events/triggers/batches.py": {
        "if all(isinstance(each, dict) and each.keys() == found[0].keys() for each in found):"
        " | 0 + 1": "there are two at least, and all are compared with it",
    },
    "handlers/scoring/responses.py": {
        "if value.dtype == object: | Eq becomes NotEq": "what is left in a list is made plain by "
        "json's own question for each value",
    },
    "packager/models/registry.py": {
        "folder.mkdir(parents=True, exist_ok=True) | True flips": "what calls it has made the "
        "folder above, and nothing has made this one",
    },
    "packager/pipeline/answers/spread.py": {
        "if each.within(0.0, _ALLOWANCE * spread.rounding.get(each.place, -1.0)):"
        " | 1.0 + 1": "any number below zero allows nothing",
    },
    "packager/pipeline/verify/__init__.py": {
        "proven=False, | False flips": "each way to an end sets it: a replay, or having none",
    },
}
"""By module: `the line's text | what is changed`, and why it is no change."""
