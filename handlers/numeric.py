"""Tables of numbers: JSON and CSV read straight into columns, where a body holds nothing else.

What a list of 200,000 numbers costs is making that many Python floats and freeing them; a list of
10,000 rows costs that and the lists, and the lists once more when they are packed. So the rows'
brackets, or the lines' ends, are held to their places by numpy and taken out, and one flat list is
decoded. What may take this way is narrow on purpose: anything out of the ordinary gives None, and
the request goes the general way (docs/adr/0003).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from functools import cached_property
from itertools import starmap
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from handlers import bulk
from handlers.columns import Column, Table
from handlers.schema import DataType, Json, Schema

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_NUMBERS = frozenset({int, float})
_NEGATIVE_ZERO = re.compile(rb"-0(?![.0-9eE])")
"""An integer, and so without a sign, to JSON; -0.0 to pandas."""
_EXACT = 2.0**53
_BRACKETS = 1000
"""Looked at for the two that rows begin with; before them is what names the columns."""
_CELLS = "<cells>"
"""Stands for the rows while what is around them is decoded."""
_COMMA, _NEWLINE, _SPACE, _OPEN, _CLOSE = b",\n []"


class _Decoders(NamedTuple):
    body: Any
    split: Any
    """Of a body in which `_CELLS` stands for the rows."""
    numbers: Any


class Reader:
    """For signatures of named columns that are all double or float; None from any other."""

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema

    @cached_property
    def _dtypes(self) -> dict[str, np.dtype[Any]]:
        """Of the columns, in order; empty where the signature is of another kind."""
        schema = self._schema
        if schema is None or not schema.named:
            return {}
        found = {
            str(spec.name): spec.type.dtype
            for spec in schema.columns
            if isinstance(spec.type, DataType) and spec.type.dtype.kind == "f"
        }
        return found if len(found) == len(schema.specs) else {}

    @cached_property
    def _decoders(self) -> _Decoders | None:
        msgspec = bulk.msgspec()
        if msgspec is None or not self._dtypes:
            return None
        strict = {"forbid_unknown_fields": True, "gc": False}

        def split(rows: Any) -> Any:
            fields = [("columns", list[str]), ("data", rows)]
            return msgspec.defstruct("Split", fields, **strict)

        def decoder(rows: Any, *others: tuple[str, Any, None]) -> Any:
            fields = [("dataframe_split", split(rows), None), *others, ("params", Any, None)]
            return msgspec.json.Decoder(msgspec.defstruct("Body", fields, **strict))

        fields = [(f"f{i}", float) for i in range(len(self._dtypes))]
        renamed = {f"f{i}": name for i, name in enumerate(self._dtypes)}
        row: Any = msgspec.defstruct("Row", fields, rename=renamed, **strict)
        return _Decoders(
            decoder(
                list[list[float]],
                ("dataframe_records", list[row], None),
                ("inputs", dict[str, list[float]], None),
            ),
            decoder(str),
            msgspec.json.Decoder(list[float]),
        )

    def json(self, body: bytes) -> tuple[Any, Json] | None:
        """`data` and `params` of a large body that holds numbers and nothing else."""
        decoders = self._decoders if len(body) >= bulk.LARGE_BYTES else None
        if decoders is None:
            return None
        found = self._split(body, decoders)
        if found is not None:
            return found
        try:
            read = decoders.body.decode(body)
        except (ValueError, RecursionError):
            return None
        given = [read.dataframe_split, read.dataframe_records, read.inputs]
        if sum(value is not None for value in given) != 1:
            return None
        data: Any
        if read.dataframe_split is not None:
            data = self._table(_matrix(read.dataframe_split.data), read.dataframe_split.columns)
        elif read.dataframe_records:
            data = self._records(read.dataframe_records)
        else:
            data = self._arrays(read.inputs or {})
        return None if data is None else (data, read.params)

    def _split(self, body: bytes, decoders: _Decoders) -> tuple[Table, Json] | None:
        """Of `dataframe_split` with its rows as `json.dumps` writes them, with spaces or without.

        The rows are cut out, and a text that occurs nowhere else (no backslash could spell it
        another way) is put in their place: what is decoded around them says where they were.
        """
        begin, end = _rows(body)
        around = body[:begin], body[end:]
        token = f'"{_CELLS}"'.encode()
        if begin == end or any(b"\\" in part or token in part for part in around):
            return None
        try:
            read = decoders.split.decode(token.join(around))
        except (ValueError, RecursionError):
            return None
        split = read.dataframe_split
        if split is None or split.data != _CELLS:
            return None
        rows = body[begin + 1 : end - 1]
        width = _bracketed(rows)
        if width is None:
            return None
        values = self._numbers(rows[1:-1].replace(b"[", b" ").replace(b"]", b" "))
        table = self._table(_shaped(values, width), split.columns)
        return None if table is None else (table, read.params)

    def csv(self, text: str) -> Table | None:
        """A body whose cells are all numbers as JSON has them, without quotes or row labels."""
        if not self._dtypes:
            return None
        header, _, lines = text.partition("\n")
        header = header.removesuffix("\r")
        names = header.split(",")
        if not (all(names) and header.strip()) or any(mark in header for mark in '"\r\0\ufeff'):
            return None
        if not lines.isascii():
            return None
        cells = lines.encode("ascii")
        if b"\r" in cells:
            cells = cells.replace(b"\r\n", b"\n")
        cells = cells.removesuffix(b"\n")
        if b"\r" in cells:
            return None
        width = _delimited(np.frombuffer(cells, np.uint8))
        values = None if width is None else self._numbers(cells.replace(b"\n", b","))
        matrix = _shaped(values, width)
        if matrix is None or (not matrix.all() and _NEGATIVE_ZERO.search(cells)):
            return None
        return self._table(matrix, names)

    def _numbers(self, cells: bytes) -> list[float] | None:
        """Of numbers between commas."""
        large = len(cells) >= bulk.LARGE_BYTES
        decoders = self._decoders if large else None
        text = b"[" + cells + b"]"
        try:
            if decoders is not None:
                decoded: list[float] = decoders.numbers.decode(text)
                return decoded
            values = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return values if set(map(type, values)) <= _NUMBERS else None

    def _table(self, matrix: Array | None, columns: Sequence[str]) -> Table | None:
        if matrix is None or matrix.shape[1] != len(columns):
            return None
        place = {name: i for i, name in enumerate(columns)}
        if len(place) != len(columns) or not all(name in place for name in self._dtypes):
            return None
        wanted = [place[name] for name in self._dtypes]
        block = matrix.T if wanted == list(range(len(columns))) else matrix.T[wanted]
        return self._typed(np.ascontiguousarray(block))

    def _records(self, records: Sequence[Any]) -> Table | None:
        from msgspec.structs import astuple

        width = len(self._dtypes)
        pack = struct.Struct(f"{width}d").pack
        packed = bytearray().join(starmap(pack, map(astuple, records)))
        matrix = np.frombuffer(packed, np.float64).reshape(len(records), width)
        return self._typed(np.ascontiguousarray(matrix.T))

    def _typed(self, block: Array) -> Table | None:
        columns: dict[Any, Column] = {}
        for (name, dtype), cells in zip(self._dtypes.items(), block, strict=True):
            if dtype != cells.dtype and np.abs(cells).max(initial=0) >= _EXACT:
                return None  # an integer may have been rounded once already
            columns[name] = Column(_narrowed(cells, dtype))
        return Table(columns, block.shape[1])

    def _arrays(self, inputs: dict[str, list[float]]) -> dict[str, Any] | None:
        if not inputs or not all(name in self._dtypes for name in inputs):
            return None
        return {
            name: _narrowed(_doubles(values), self._dtypes[name]) for name, values in inputs.items()
        }


def _rows(body: bytes) -> tuple[int, int]:
    """Where `[[` begins, for the first time, and `]]` ends, for the last; twice 0 without them.

    One byte is looked for at a time: `find` takes 2 ms for two in a body of 2 MB.
    """
    begin = body.find(b"[")
    for _ in range(_BRACKETS):
        if begin < 0 or body.startswith(b"[", begin + 1):
            break
        begin = body.find(b"[", begin + 1)
    end = body.rfind(b"]") + 1
    if 0 <= begin < end - 3 and body.startswith(b"[[", begin) and body.endswith(b"]]", 0, end):
        return begin, end
    return 0, 0


def _bracketed(rows: bytes) -> int | None:
    """The width of `[1, 2], [3, 4]`; None where the rows are of several.

    That there is a number between any two commas, and nothing else, is not looked at here.
    """
    text = np.frombuffer(rows, np.uint8)
    opens = np.flatnonzero(text == _OPEN)
    if len(opens) != rows.count(b"]"):
        return None
    later = opens[1:]
    spaced = len(later) > 0 and rows.startswith(b" ", int(later[0]) - 1)
    before = (_SPACE, _COMMA, _CLOSE) if spaced else (_COMMA, _CLOSE)
    if any((text[later - at] != mark).any() for at, mark in enumerate(before, start=1)):
        return None
    return _width(text, opens)


def _delimited(lines: Array) -> int | None:
    """The width of `1,2` over `3,4`, given as bytes; None where the lines are of several."""
    if not len(lines):
        return None
    return _width(lines, np.append(0, np.flatnonzero(lines == _NEWLINE) + 1), ends=0)


def _width(text: Array, starts: Array, ends: int = 1) -> int | None:
    """Of rows that start there; all but the last have `ends` commas more than between cells."""
    if starts[-1] >= len(text):
        return None
    commas = np.add.reduceat((text == _COMMA).view(np.int8), starts, dtype=np.int32)
    commas[:-1] -= ends
    return int(commas[0]) + 1 if (commas == commas[0]).all() else None


def _narrowed(cells: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        return cells.astype(dtype, copy=False)


def _doubles(values: Sequence[float]) -> Array:
    """As `np.array(values)`, in a third of the time. Raises OverflowError for a larger int."""
    cells = np.empty(len(values))
    struct.pack_into(f"{len(values)}d", cells.data, 0, *values)
    return cells


def _shaped(values: Sequence[float] | None, width: int | None) -> Array | None:
    if not values or not width or len(values) % width:
        return None
    try:
        return _doubles(values).reshape(-1, width)
    except OverflowError:
        return None


def _matrix(rows: Sequence[Sequence[float]]) -> Array | None:
    """Rows of one width, at least one of either; None otherwise."""
    width = len(rows[0]) if rows else 0
    if width == 0:
        return None
    try:
        packed = bytearray().join(starmap(struct.Struct(f"{width}d").pack, rows))
    except struct.error:  # of another width
        return None
    return np.frombuffer(packed, np.float64).reshape(len(rows), width)
