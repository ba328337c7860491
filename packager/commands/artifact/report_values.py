"""Values of an artifact's own documents, held to the types that a build writes.

Each raises TypeError or ValueError for a value of another type, and LookupError for one that is
missing: whoever rewrote a document else meets the code that prints it.
"""

from __future__ import annotations

import math

from packager.types import Json, LedgerRow


def read_ledger(value: Json) -> list[LedgerRow]:
    return [
        LedgerRow(
            name=read_text(row["name"]),
            bytes_before=read_count(row["bytes_before"]),
            bytes_after=read_count(row["bytes_after"]),
            files_before=read_count(row["files_before"]),
            files_after=read_count(row["files_after"]),
            reason=read_text(row["reason"]),
            proof=read_text(row["proof"]),
            reverted=read_texts(row["reverted"]),
            cpu_ms_saved=read_amount(row.get("cpu_ms_saved"), least=-math.inf),
        )
        for row in _read_list(value)
    ]


def read_sizes(value: Json) -> list[tuple[str, int]]:
    """Pairs of a package's name and its bytes."""
    return [(read_text(name), read_count(size)) for name, size in map(_read_list, value)]


def read_texts(value: Json) -> list[str]:
    return [read_text(each) for each in _read_list(value)]


def read_text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_show(value)} is no text")
    return value


def read_count(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{_show(value)} is no whole number from 0 on")
    return value


def read_amount(value: Json, *, least: float = 0.0) -> float | None:
    """A number, or None where nothing was measured."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{_show(value)} is no number")
    if not math.isfinite(value) or value < least:
        raise ValueError(f"{value} is no amount")
    return value


def _read_list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(f"{_show(value)} is no list")
    return value


def _show(value: Json) -> str:
    return repr(value)[:80]
