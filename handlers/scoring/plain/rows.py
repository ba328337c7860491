"""Rows of a JSON body read straight into the columns of a compiled model, by the library's own C.

What it reads is what `dataframe_split` of a model's own columns nearly always holds: a number, a
truth or a word without escapes in each cell, as the signature has it. Whatever is otherwise gives
None, and is read the general way, which tells what a value's neighbours make of it, and refuses.
"""

from __future__ import annotations

from array import array as buffer

from handlers.loaders._libraries import Column as Address
from handlers.loaders._libraries import Entry, find_address
from handlers.scoring.fast_tables import CELLS, find_around
from handlers.scoring.plain.array import Array
from handlers.scoring.plain.dtypes import BOOL, OBJECT, Cells, DType
from handlers.scoring.row_spans import rows_of
from handlers.scoring.schema.columns import Column, Table
from handlers.scoring.schema.signature import STRING, DataType, Json, Schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_KINDS: Final = {
    "<f8": (1, "d"),
    "<f4": (2, "f"),
    "<i8": (3, "q"),
    "<i4": (4, "i"),
    "|b1": (5, "b"),
}
"""Of a column of numbers or truths by its dtype: in a library's layout, and of array.array."""
_TEXT: Final = 6
_MOST_TEXT: Final = 64 * 1024 * 1024
"""Bytes that columns of words may take together: each has room for all of the rows."""
_SPLIT: Final = {"columns", "data"}


class HeldCells(Array):
    """A column in buffers, as a library reads it; Python's values are made where they are asked."""

    __slots__ = ("held",)

    def __init__(self, held: tuple[Cells, ...], dtype: DType, rows: int) -> None:
        self.held = held
        self.dtype, self.shape = dtype, (rows,)

    def __getattr__(self, name: str) -> Cells:
        if name != "cells":
            raise AttributeError(name)
        self.cells = self._make_cells()
        return self.cells

    def _make_cells(self) -> Cells:
        values = self.held[0]
        if self.dtype is BOOL:
            return list(map(bool, values))
        if self.dtype is not OBJECT:
            return values
        offsets = self.held[1]
        return [values[b:e].decode("utf-8") for b, e in zip(offsets, offsets[1:])]


class RowReader:
    """For signatures of named columns of scalars, and a library that reads rows."""

    def __init__(self, schema: Schema, entry: Entry) -> None:
        self._entry = entry
        self._types: dict[str, DataType] = {
            spec.name: spec.type
            for spec in schema.columns
            if isinstance(spec.name, str)
            and isinstance(spec.type, DataType)
            and (spec.type is STRING or spec.type.dtype.str in _KINDS)
        }
        self._is_served = bool(schema.columns) and len(self._types) == len(schema.columns)

    def json(self, body: bytes) -> tuple[Table, Json] | None:
        """`data` and `params` of a body; None where it is to be read the general way."""
        begin, end = rows_of(body) if self._is_served else (0, 0)
        read = find_around([body[:begin], body[end:]]) if begin < end else None
        names = None if read is None else self._read_names(read.get("dataframe_split"))
        if names is None or not _is_utf8(body):
            return None
        columns = self._read_columns(body, (begin, end), names)
        return None if columns is None else (columns, read and read.get("params"))

    def _read_names(self, split: Json) -> list[str] | None:
        if not isinstance(split, dict) or split.keys() != _SPLIT or split["data"] != CELLS:
            return None
        return split["columns"] if self._are_all(split["columns"]) else None

    def _read_columns(self, body: bytes, place: tuple[int, int], names: list[str]) -> Table | None:
        begin, end = place
        # a cell takes a byte and a comma, a row one more: brackets alone would ask for much memory
        most = min(body.count(b"[", begin, end), (end - begin) // (2 * len(names) + 1) + 1)
        if sum(self._types[name] is STRING for name in names) * (end - begin) > _MOST_TEXT:
            return None
        filled = [_Filled(self._types[name], most, end - begin) for name in names]
        kinds, places = [each.kind for each in filled], [each.address for each in filled]
        rows = self._entry.read_rows(body, place, kinds, places, most)
        if rows is None:
            return None
        return Table({name: each.finish(rows) for name, each in zip(names, filled)}, rows)

    def _are_all(self, names: Json) -> bool:
        """Tell whether these are the columns' names, in any order."""
        if not isinstance(names, list) or len(names) != len(self._types):
            return False
        return all(isinstance(name, str) for name in names) and set(names) == self._types.keys()


class _Filled:
    """A column's buffers, with room for `most` rows; words have room for all that was sent."""

    def __init__(self, wanted: DataType, most: int, size: int) -> None:
        self._wanted = wanted
        self._values: Cells
        if wanted is STRING:
            self.kind, self._values = _TEXT, bytearray(size)
            self._counts = buffer("q", bytes(8 * (most + 1)))
            offsets = self._counts.buffer_info()[0]
            self.address = Address(find_address(self._values), offsets, None)
        else:
            self.kind, code = _KINDS[wanted.dtype.str]
            self._values = buffer(code, bytes(wanted.dtype.itemsize * most))
            self._counts = buffer("q", [0])
            count = self._counts.buffer_info()[0]
            self.address = Address(self._values.buffer_info()[0], None, count)

    def finish(self, rows: int) -> Column:
        """The column, with its first rows."""
        dtype: Cells = self._wanted.dtype  # one of ours, by numpy's name
        if self._wanted is STRING:
            del self._counts[rows + 1 :]
            held = self._values, self._counts, buffer("b", bytes(rows))
            return Column(_as_cells(HeldCells(held, dtype, rows)), text=True)
        del self._values[rows:]
        return Column(_as_cells(HeldCells((self._values,), dtype, rows)))


def _as_cells(held: HeldCells) -> Cells:
    """Take it for what columns hold, by numpy's name of the same interface."""
    return held


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
