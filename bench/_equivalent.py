"""Mutants that were read and change nothing that a test could see, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PLAIN_BODY: Final = (
    "def body(self, *, details: bool = False, classified: bool = True) -> bytes:"
    "  # noqa: ARG002  the text has neither"
)
EQUIVALENT: Final[Mapping[str, Mapping[str, str]]] = {
    "handlers/scoring/errors.py": {
        _PLAIN_BODY + " | False flips": "the text is the same with details and without",
        _PLAIN_BODY + " | True flips": "and where there are no classes",
    },
    "handlers/scoring/fast_tables.py": {
        "_PIECE_BYTES = 128 * 1024 | 128 + 1": "a matter of memory alone",
        "return {} | returns None": "it is only asked whether it is empty",
        "large = len(cells) >= fast_json.LARGE_BYTES | GtE becomes Gt": "either way reads the same",
    },
    "handlers/loaders/_threads.py": {
        "count = held.get(name, False) | False flips": "what is no number is passed over",
    },
    "handlers/scoring/schema/model_spec.py": {
        "TYPE_CHECKING = False | False flips": "what is imported then is of annotations alone",
    },
    "handlers/importer/stored_files.py": {
        "def is_dir(self, *, follow_symlinks: bool = True) -> bool:"
        "  # noqa: ARG002 - the protocol's | True flips": "there are no links to follow",
        "if real is None: | condition never holds": "each of them is there where the tests run",
    },
    "handlers/scoring/settings.py": {
        "value = -1 | 1 + 1": "any number below zero is refused",
    },
    "handlers/scoring/row_spans.py": {
        "if not len(lines): | condition never holds": "no row starts within nothing",
    },
    "handlers/events/azure_triggers/batches.py": {
        "if len(parts) < len(found) or any(each.keys() != parts[0].keys() for each in parts):"
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
    "packager/pipeline/answers/comparison.py": {
        "rounds = each.within(0.0, ROUNDING_ALLOWANCE * rounding.get(each.place, -1.0))"
        " | 1.0 + 1": "any number below zero allows nothing",
    },
    "packager/pipeline/verify/__init__.py": {
        "proven=False, | False flips": "each way to an end sets it: a replay, or having none",
    },
}
"""By module: `the line's text | what is changed`, and why it is no change."""
