"""Steps that turn at a threshold, behind steps whose last digit the library may have otherwise."""

from __future__ import annotations

from typing import Sequence

from packager.engines.machine_code.extraction.program import (
    INEXACT,
    Entry,
    Program,
    UnsupportedError,
)

_TURNS = frozenset(
    {"trees", "digitize", "find_number", "rint", "floor", "ceil", "trunc", "sign"}
)  # fmt: skip


def check_turns(program: Program) -> None:
    """Raises UnsupportedError where a threshold is compared with what was rounded otherwise.

    A threshold may be one of the values of training, so that the last digit decides which side
    such a row takes. What is rounded from double to float has lost that digit, and the label of
    the largest score is another matter: no score of training is where two are equal.
    """
    rounded: dict[int, str] = {}
    for number, entry in enumerate(program.operations):
        operation = entry["operation"]
        sources = [at for at in entry["inputs"] if at in rounded]
        if operation in INEXACT:
            rounded[number] = operation
        elif sources and _is_turn(entry):
            raise UnsupportedError(
                f"{operation} behind {rounded[sources[0]]}, whose last digit is the library's own: "
                "a row at a threshold would take the other side"
            )
        elif sources and entry["kind"] != "int64" and not _narrows(program, entry, sources):
            rounded[number] = rounded[sources[0]]


def _is_turn(entry: Entry) -> bool:
    """Tell whether an operation answers otherwise beyond a threshold; labels are whole numbers."""
    binarizes = entry["operation"] == "above" and entry["kind"] != "int64"
    return binarizes or entry["operation"] in _TURNS


def _narrows(program: Program, entry: Entry, sources: Sequence[int]) -> bool:
    wide = all(program.operations[at]["kind"] == "double" for at in sources)
    return wide and entry["operation"] == "gather" and entry["kind"] == "float"
