"""Tables of numbers without numpy: JSON and CSV read into columns, where a body holds nothing else.

The short way of `handlers.scoring.fast_tables`, with buffers of doubles in place of its arrays.
"""

from __future__ import annotations

import json
import struct
from array import array as buffer
from collections.abc import Iterator, Sequence
from itertools import starmap

from handlers.scoring import fast_json
from handlers.scoring.fast_tables import EXACT, REFUSALS, Reader, split_pieces
from handlers.scoring.plain.array import Array
from handlers.scoring.plain.dtypes import FLOAT64, Cells, DType
from handlers.scoring.schema.columns import Column, Table
from handlers.scoring.schema.signature import Name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NUMBERS: Final = frozenset({int, float})
_BUT_ROWS: Final = bytes(set(range(256)) - set(b"[],"))
_BUT_LINES: Final = bytes(set(range(256)) - set(b",\n"))


class Matrix:
    """Doubles in row order, of one width."""

    def __init__(self, cells: buffer[float], width: int) -> None:
        self.cells, self.width = cells, width

    def all(self) -> bool:
        return 0.0 not in self.cells


class PlainReader(Reader):
    """For the same signatures and bodies as numpy's; None from any other."""

    def _measure_rows(self, rows: bytes) -> int | None:
        # a number beside a bracket's wrong side is one without a comma when it is read
        return _measure(rows.translate(None, _BUT_ROWS), b"]", b"[%s]", b",")

    def _measure_lines(self, lines: bytes) -> int | None:
        return _measure(lines.translate(None, _BUT_LINES), b"\n", b"%s", b"\n") if lines else None

    def _read_numbers(self, cells: bytes, *, large: bool) -> Cells:
        try:
            return _read_doubles(cells, large=large)
        except fast_json.list_refusals(REFUSALS):
            return None

    def _shape_rows(self, values: Cells, width: int | None) -> Cells:
        if not values or not width or len(values) % width:
            return None
        return Matrix(values, width)

    def _table(self, matrix: Cells, columns: Sequence[str]) -> Table | None:
        if matrix is None or matrix.width != len(columns):
            return None
        place = {name: i for i, name in enumerate(columns)}
        if len(place) != len(columns) or not all(name in place for name in self._dtypes):
            return None
        made: dict[Name, Column] = {}
        for name, dtype in self._dtypes.items():
            cells = matrix.cells[place[name] :: matrix.width]
            if dtype.name != FLOAT64.name and max(map(abs, cells)) >= EXACT:
                return None  # an integer may have been rounded once already
            made[name] = Column(self._make_cells(cells, name))
        return Table(made, len(matrix.cells) // matrix.width)

    def _read_arrays(self, inputs: dict[str, Cells]) -> dict[str, Cells] | None:
        if not inputs or not all(name in self._dtypes for name in inputs):
            return None
        return {name: self._make_cells(cells, name) for name, cells in inputs.items()}

    def _stack_rows(self, rows: Sequence[Sequence[float]]) -> Cells:
        width = len(rows[0]) if rows else 0
        cells = buffer("d")
        try:
            cells.frombytes(b"".join(starmap(struct.Struct(f"{width}d").pack, rows)))
        except struct.error:  # of another width
            return None
        return self._shape_rows(cells, width)

    def _hold(self, values: Sequence[float]) -> Cells:
        return buffer("d", values)

    def _make_cells(self, cells: buffer[float], name: str) -> Cells:
        dtype = DType(self._dtypes[name].name)
        return Array(cells if dtype is FLOAT64 else buffer("f", cells), dtype)


def _measure(marks: bytes, end: bytes, form: bytes, between: bytes) -> int | None:
    """Width of rows of which these are the brackets, commas and ends; None where one differs."""
    first = marks.partition(end)[0].count(b",")
    row = form % (b"," * first)
    count = len(marks) // (len(row) + 1) + 1
    return first + 1 if marks == between.join([row] * count) else None


def _read_doubles(cells: bytes, *, large: bool) -> buffer[float] | None:
    """Numbers between commas. Raises what is in `REFUSALS`."""
    parser = fast_json.number_parser() if large else None
    msgspec = fast_json.msgspec() if large and parser is None else None
    if parser is not None:
        found = buffer("d")
        for piece in _read_pieces(cells, parser):
            if not len(piece):
                return None
            found.frombytes(piece)
        return found
    text = b"[%s]" % cells
    if msgspec is not None:
        return buffer("d", msgspec.json.decode(text, type=fast_json.FLOATS))
    values = json.loads(text)
    return buffer("d", values) if set(map(type, values)) <= _NUMBERS else None


def _read_pieces(cells: bytes, parser: Cells) -> Iterator[memoryview]:
    """Doubles of one piece after another, each read before the next is parsed."""
    for piece in split_pieces(cells):
        yield memoryview(parser.parse(b"[%s]" % piece).as_buffer(of_type="d"))
