"""Requests that MLflow refuses, or answers oddly: the artifact must do neither more nor less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from packager.probes.forms import CSV, JSON, Columns, is_tensor, written
from packager.probes.values import Values

_NUMBERS: Final = frozenset({"integer", "long", "float", "double"})
_MOST: Final = 3
"""Columns that are spoiled, of each kind."""


def bodies(
    inputs: Sequence[Mapping[str, object]], values: Values
) -> Iterator[tuple[str, bytes, str]]:
    """(what is wrong with it, body, content type)."""
    yield "malformed JSON", b'{"inputs": [1,', JSON
    yield "no data", b"{}", JSON
    yield "a list", b"[1, 2]", JSON
    yield "two kinds of data", b'{"inputs": [1], "instances": [1]}', JSON
    yield "an unknown content type", b"1,2", "text/plain"
    yield "another character set", b'{"inputs": [1]}', f"{JSON}; charset=latin-1"
    if is_tensor(inputs[0]):
        yield "a tensor of no rank", b'{"inputs": 1.5}', JSON
        yield "words for numbers", b'{"inputs": [["a"]]}', JSON
        yield "a tensor of too many axes", b'{"inputs": [[[[[[[1]]]]]]]}', JSON
        return
    if not all("name" in spec for spec in inputs):
        yield "too few columns", b'{"dataframe_split": {"data": [[]]}}', JSON
        return
    yield from _spoil_columns(Columns(tuple(inputs), values).names(), inputs, values)


def _spoil_columns(
    names: Sequence[str], inputs: Sequence[Mapping[str, object]], values: Values
) -> Iterator[tuple[str, bytes, str]]:
    row = [values.column(spec, name) for spec, name in zip(inputs, names, strict=True)]
    yield _with("a renamed column", [f"{names[0]}?", *names[1:]], row)
    yield _with("a column too few", names[1:], row[1:])
    yield _with("a column too many", [*names, "surplus"], [*row, 1])
    yield _with("columns in another order", names[::-1], row[::-1])
    numbers = [at for at, spec in enumerate(inputs) if spec.get("type") in _NUMBERS]
    words = [at for at, spec in enumerate(inputs) if spec.get("type") == "string"]
    for at in numbers[:_MOST]:
        yield _with(f"a word in column {at}", names, _replace_cell(row, at, "word"))
        yield _with(f"nothing in column {at}", names, _replace_cell(row, at, None))
    for at in words[:_MOST]:
        yield _with(
            f"an unknown word in column {at}", names, _replace_cell(row, at, "never seen ä")
        )
        yield _with(f"no word in column {at}", names, _replace_cell(row, at, None))
    yield "CSV with a column too few", written("csv", names[1:], [row[1:]]).body, CSV
    yield "no rows", json.dumps({"dataframe_split": {"columns": names, "data": []}}).encode(), JSON


def _with(what: str, names: Sequence[str], row: Sequence[object]) -> tuple[str, bytes, str]:
    return what, written("dataframe_split", list(names), [list(row)]).body, JSON


def _replace_cell(row: Sequence[object], at: int, value: object) -> list[object]:
    return [*row[:at], value, *row[at + 1 :]]
