"""Tables of numbers: JSON and CSV read straight into columns, where a body holds nothing else.

What most of a large table costs is making a Python float of each number and freeing it, and a list
of each row. So the rows' brackets, or the lines' ends, are held to their places by numpy and taken
out, and the one flat list that is left is read by simdjson straight into an array; or by msgspec,
where simdjson is not installed. What may take this way is narrow on purpose: anything out of the
ordinary gives None, and the request goes the general way (docs/adr/0003).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import starmap

from handlers.scoring import fast_json
from handlers.scoring.row_spans import lists_of, measure_brackets, measure_lines, rows_of
from handlers.scoring.schema import np
from handlers.scoring.schema.columns import Column, Table
from handlers.scoring.schema.signature import DataType, Json, Schema
from handlers.values import remove_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.generic]]"
_NUMBERS = frozenset({int, float})
_NEGATIVE_ZERO = re.compile(rb"-0(?![.0-9eE])")
"""An integer, and so without a sign, to JSON; -0.0 to pandas."""
_SPECIAL = re.compile('["\r\0\ufeff]')
EXACT = 2.0**53
_BODIES = [{"dataframe_split"}, {"dataframe_split", "params"}, {"inputs"}, {"inputs", "params"}]
_PIECE_BYTES = 128 * 1024
REFUSALS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Of a parser: what is not JSON, no number, or one that is beyond a float or 64 bits."""
CELLS = "<cells>"
"""Stands for the rows while what is around them is decoded."""


class Reader:
    """For signatures of named columns that are all double or float; None from any other."""

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema

    @cached_property
    def _dtypes(self) -> dict[str, np.dtype[np.generic]]:
        """Types of the columns, in order; empty where the signature is of another kind."""
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
    def _decoder(self) -> Any:
        """Decoder of a body whose rows are lists or objects; None without msgspec."""
        msgspec = fast_json.msgspec()
        if msgspec is None:
            return None
        from typing import Any as Anything
        from typing import Dict, List

        strict = {"forbid_unknown_fields": True, "gc": False}
        fields = [(f"f{i}", float) for i in range(len(self._dtypes))]
        renamed = {f"f{i}": name for i, name in enumerate(self._dtypes)}
        row: Any = msgspec.defstruct("Row", fields, rename=renamed, **strict)
        rows = [("columns", List[str]), ("data", List[List[float]])]
        split: Any = msgspec.defstruct("Split", rows, **strict)
        body = msgspec.defstruct(
            "Body",
            [
                ("dataframe_split", split, None),
                ("dataframe_records", List[row], None),
                ("inputs", Dict[str, List[float]], None),
                ("params", Anything, None),
            ],
            **strict,
        )
        return msgspec.json.Decoder(body)

    def json(self, body: bytes) -> tuple[Any, Json] | None:
        """`data` and `params` of a large body that holds numbers and nothing else."""
        if len(body) < fast_json.LARGE_BYTES or not self._dtypes:
            return None
        found = self._split(body) or self._inputs(body)
        if found is not None or self._decoder is None:
            return found
        try:
            read = self._decoder.decode(body)
        except fast_json.list_refusals():
            return None
        given = [read.dataframe_split, read.dataframe_records, read.inputs]
        if sum(value is not None for value in given) != 1:
            return None
        data = self._tabulate(read)
        return None if data is None else (data, read.params)

    def _tabulate(self, read: Any) -> Table | dict[str, object] | None:
        """The data of a decoded body, which has exactly one of the three."""
        if read.dataframe_split is not None:
            split = read.dataframe_split
            return self._table(self._stack_rows(split.data), split.columns)
        if read.dataframe_records:
            from msgspec.structs import astuple

            rows = list(map(astuple, read.dataframe_records))
            return self._table(self._stack_rows(rows), [*self._dtypes])
        inputs = read.inputs or {}
        return self._read_arrays({name: self._hold(cells) for name, cells in inputs.items()})

    def _split(self, body: bytes) -> tuple[Table, object] | None:
        """Read `dataframe_split` with rows as `json.dumps` writes them, with spaces or without.

        The rows are cut out, and a text that occurs nowhere else (no backslash could spell it
        another way) is put in their place: what is decoded around them says where they were.
        """
        begin, end = rows_of(body)
        read = find_around([body[:begin], body[end:]]) if begin < end else None
        split = read and read.get("dataframe_split")
        if not isinstance(split, dict) or set(split) != {"columns", "data"}:
            return None
        columns = split["columns"]
        if split["data"] != CELLS or not _are_texts(columns):
            return None
        rows = body[begin + 1 : end - 1]
        width = self._measure_rows(rows)
        if width is None:
            return None
        values = self._read_numbers(rows[1:-1].replace(b"[", b" ").replace(b"]", b" "), large=True)
        table = self._table(self._shape_rows(values, width), columns)
        return None if table is None else (table, read and read.get("params"))

    def _inputs(self, body: bytes) -> tuple[dict[str, Any], Json] | None:
        """Read `inputs` that is an object of lists, each cut out as the rows of `_split` are."""
        around, lists = lists_of(body)
        read = find_around(around) if lists else None
        inputs = read and read.get("inputs")
        if not isinstance(inputs, dict) or len(inputs) != len(lists):
            return None  # a name given twice, or lists elsewhere
        if any(value != CELLS for value in inputs.values()):
            return None
        columns: dict[str, Array] = {}
        for name, cells in zip(inputs, lists):
            values = self._read_numbers(cells, large=True)
            if values is None:
                return None
            columns[name] = values
        data = self._read_arrays(columns)
        return None if data is None else (data, read and read.get("params"))

    def csv(self, text: str) -> Table | None:
        """A body whose cells are all numbers as JSON has them, without quotes or row labels."""
        if not self._dtypes:
            return None
        header, _, lines = text.partition("\n")
        header = remove_suffix(header, "\r")
        names = header.split(",")
        if not (all(names) and header.strip()) or _SPECIAL.search(header):
            return None
        if not lines.isascii():
            return None
        cells = lines.encode("ascii")
        if b"\r" in cells:
            cells = cells.replace(b"\r\n", b"\n")
        cells = remove_suffix(cells, b"\n")
        if b"\r" in cells:
            return None
        matrix = self._read_lines(cells)
        return None if matrix is None else self._table(matrix, names)

    def _read_lines(self, cells: bytes) -> Array | None:
        """Lines of numbers as rows; None where one is none, or a zero has a sign."""
        width = self._measure_lines(cells)
        large = len(cells) >= fast_json.LARGE_BYTES
        values = self._read_numbers(cells.replace(b"\n", b","), large=large) if width else None
        matrix = self._shape_rows(values, width)
        if matrix is None or (not matrix.all() and _NEGATIVE_ZERO.search(cells)):
            return None
        return matrix

    def _measure_rows(self, rows: bytes) -> int | None:
        return measure_brackets(rows)

    def _measure_lines(self, lines: bytes) -> int | None:
        return measure_lines(np.frombuffer(lines, np.uint8))

    def _read_numbers(self, cells: bytes, *, large: bool) -> Array | None:
        return _numbers(cells, large=large)

    def _shape_rows(self, values: Array | None, width: int | None) -> Array | None:
        return _shape_rows(values, width)

    def _stack_rows(self, rows: Sequence[Sequence[float]]) -> Array | None:
        return _read_matrix(rows)

    def _hold(self, values: Sequence[float]) -> Array:
        return _read_doubles(values)

    def _table(self, matrix: Array | None, columns: Sequence[str]) -> Table | None:
        if matrix is None or matrix.shape[1] != len(columns):
            return None
        place = {name: i for i, name in enumerate(columns)}
        if len(place) != len(columns) or not all(name in place for name in self._dtypes):
            return None
        wanted = [place[name] for name in self._dtypes]
        block = matrix.T if wanted == list(range(len(columns))) else matrix.T[wanted]
        return self._make_table(np.ascontiguousarray(block))

    def _make_table(self, block: Array) -> Table | None:
        columns: dict[Any, Column] = {}
        for (name, dtype), cells in zip(self._dtypes.items(), block):
            if dtype != cells.dtype and np.abs(cells).max(initial=0) >= EXACT:
                return None  # an integer may have been rounded once already
            columns[name] = Column(_narrow_cells(cells, dtype))
        return Table(columns, block.shape[1])

    def _read_arrays(self, inputs: dict[str, Array]) -> dict[str, object] | None:
        if not inputs or not all(name in self._dtypes for name in inputs):
            return None
        return {name: _narrow_cells(cells, self._dtypes[name]) for name, cells in inputs.items()}


def _are_texts(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def find_around(parts: list[bytes]) -> dict[str, object] | None:
    """A body of MLflow's in which `CELLS` stands between the parts, and nowhere else."""
    token = f'"{CELLS}"'.encode()
    if any(b"\\" in part or token in part for part in parts):
        return None
    try:
        read = json.loads(token.join(parts))
    except (ValueError, RecursionError):
        return None
    known = isinstance(read, dict) and set(read) in _BODIES
    return read if known else None


def _numbers(cells: bytes, *, large: bool) -> Array | None:
    """Read numbers between commas; where simdjson is installed, without a list of them."""
    parser = fast_json.number_parser() if large else None
    msgspec = fast_json.msgspec() if large and parser is None else None
    text = b"[" + cells + b"]"
    try:
        if parser is not None:
            return _read_buffer(cells, parser)
        if msgspec is not None:
            return _read_doubles(msgspec.json.decode(text, type=fast_json.FLOATS))
        values = json.loads(text)
        return _read_doubles(values) if set(map(type, values)) <= _NUMBERS else None
    except fast_json.list_refusals(REFUSALS):
        return None


def _read_buffer(cells: bytes, parser: Any) -> Array | None:
    """As simdjson rounds, which is exactly; a piece at a time, or its memory is eight times theirs.

    Raises what is in `REFUSALS`.
    """
    found = []
    for piece in split_pieces(cells):
        numbers = np.frombuffer(parser.parse(b"[%s]" % piece).as_buffer(of_type="d"), np.float64)
        if not len(numbers):
            return None
        found.append(numbers)
    return np.concatenate(found)


def split_pieces(cells: bytes) -> Iterator[bytes]:
    """Parts of at most some 128 KB that end between two numbers."""
    at = 0
    while at >= 0:
        end = cells.find(b",", at + _PIECE_BYTES)
        yield cells[at : end if end >= 0 else len(cells)]
        at = end + 1 if end >= 0 else -1


def _narrow_cells(cells: Array, dtype: np.dtype[np.generic]) -> Array:
    with np.errstate(over="ignore"):
        return cells.astype(dtype, copy=False)


def _read_doubles(values: Sequence[float]) -> Array:
    """As `np.array(values)`, in a third of the time. Raises OverflowError for a larger int."""
    cells = np.empty(len(values))
    try:
        struct.pack_into(f"{len(values)}d", cells.data, 0, *values)
    except struct.error as error:  # what it makes of an int beyond any float
        raise OverflowError(str(error)) from error
    return cells


def _shape_rows(values: Array | None, width: int | None) -> Array | None:
    if values is None or not len(values) or not width or len(values) % width:
        return None
    return values.reshape(-1, width)


def _read_matrix(rows: Sequence[Sequence[float]]) -> Array | None:
    """Rows of one width, at least one of either; None otherwise."""
    width = len(rows[0]) if rows else 0
    if width == 0:
        return None
    try:
        packed = bytearray().join(starmap(struct.Struct(f"{width}d").pack, rows))
    except struct.error:  # of another width
        return None
    return np.frombuffer(packed, np.float64).reshape(len(rows), width)
