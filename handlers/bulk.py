"""Large bodies: a compiled parser, read straight into columns of numbers where they are that.

msgspec is imported for the first body that is large enough to repay it, and done without where it
is not installed. It never reads a number otherwise than `json` does; what it refuses (NaN, 1e400,
lone surrogates, UTF-16) is read again by `json`. What may take the short way here is narrow on
purpose: anything out of the ordinary gives None, and the request goes the general way.
"""

from __future__ import annotations

import gc
import json
import re
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from handlers.columns import Column, Table
from handlers.schema import DataType, Json, Schema

LARGE_BYTES = 64 * 1024
"""From here on the parser's import is repaid within a few requests (docs/adr/0003)."""

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_NUMBERS = frozenset({int, float})
_NEGATIVE_ZERO = re.compile(r"-0(?![.0-9eE])")
"""An integer, and so without a sign, to JSON; -0.0 to pandas."""
_EXACT = 2.0**53
_SHORTEST, _LONGEST = 1e-4, 1e16
"""Between these `repr` writes a float without an exponent, and so does msgspec."""

_lock = threading.Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def collector_paused(*, when: bool) -> Iterator[None]:
    """No search for cycles while JSON, which has none, is made into objects.

    The search is half of the time of parsing a large body. Several threads may be inside.
    """
    global _pauses, _was_enabled  # noqa: PLW0603  the collector is the process's too
    if not when:
        yield
        return
    with _lock:
        if _pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0 and _was_enabled:
                gc.enable()


def decode(body: bytes | str) -> Json:
    """As `json.loads`, errors included."""
    if len(body) >= LARGE_BYTES:
        msgspec = _msgspec()
        if msgspec is not None:
            try:
                return msgspec.json.decode(body)
            except (ValueError, RecursionError):
                pass  # for json to read, or to say what is wrong with it
    return json.loads(body)


def _msgspec() -> Any:
    try:
        import msgspec
    except ImportError:
        return None
    return msgspec


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
    def _decoders(self) -> tuple[Any, Any] | None:
        """Of a JSON body and of a list of rows."""
        msgspec = _msgspec()
        if msgspec is None or not self._dtypes:
            return None
        fields = [(f"f{i}", float) for i in range(len(self._dtypes))]
        renamed = {f"f{i}": name for i, name in enumerate(self._dtypes)}
        strict = {"forbid_unknown_fields": True, "gc": False}
        row: Any = msgspec.defstruct("Row", fields, rename=renamed, **strict)
        split: Any = msgspec.defstruct(
            "Split", [("columns", list[str]), ("data", list[list[float]])], **strict
        )
        body = msgspec.defstruct(
            "Body",
            [
                ("dataframe_split", split, None),
                ("dataframe_records", list[row], None),
                ("inputs", dict[str, list[float]], None),
                ("params", Any, None),
            ],
            **strict,
        )
        return msgspec.json.Decoder(body), msgspec.json.Decoder(list[list[float]])

    def json(self, body: bytes) -> tuple[Any, Json] | None:
        """`data` and `params` of a large body that holds numbers and nothing else."""
        if len(body) < LARGE_BYTES or self._decoders is None:
            return None
        try:
            found = self._decoders[0].decode(body)
        except (ValueError, RecursionError):
            return None
        given = [found.dataframe_split, found.dataframe_records, found.inputs]
        if sum(value is not None for value in given) != 1:
            return None
        data: Any
        if found.dataframe_split is not None:
            data = self._table(_matrix(found.dataframe_split.data), found.dataframe_split.columns)
        elif found.dataframe_records:
            data = self._records(found.dataframe_records)
        else:
            data = self._arrays(found.inputs or {})
        return None if data is None else (data, found.params)

    def csv(self, text: str) -> Table | None:
        """A body whose cells are all numbers as JSON has them, without quotes or row labels."""
        if not self._dtypes:
            return None
        header, _, cells = text.partition("\n")
        header = header.removesuffix("\r")
        names = header.split(",")
        if not (all(names) and header.strip()) or any(mark in header for mark in '"\r\0\ufeff'):
            return None
        if "\r" in cells:
            cells = cells.replace("\r\n", "\n")
        cells = cells.removesuffix("\n")
        if "[" in cells or "\r" in cells:
            return None
        rows = self._rows("[[" + cells.replace("\n", "],[") + "]]")
        matrix = None if rows is None else _matrix(rows)
        if matrix is None or (not matrix.all() and _NEGATIVE_ZERO.search(cells)):
            return None
        return self._table(matrix, names)

    def _rows(self, text: str) -> list[list[float]] | None:
        decoders = self._decoders if len(text) >= LARGE_BYTES else None
        try:
            if decoders is not None:
                decoded: list[list[float]] = decoders[1].decode(text)
                return decoded
            rows = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(row, list) for row in rows):
            return None
        return rows if set(map(type, chain.from_iterable(rows))) <= _NUMBERS else None

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
        import msgspec

        matrix = _matrix(list(map(msgspec.structs.astuple, records)))
        return None if matrix is None else self._typed(np.ascontiguousarray(matrix.T))

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


def _narrowed(cells: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        return cells.astype(dtype, copy=False)


def _doubles(values: Sequence[float]) -> Array:
    """As `np.array(values)`, in half of the time."""
    return np.frombuffer(bytearray(struct.pack(f"{len(values)}d", *values)), np.float64)


def _matrix(rows: Sequence[Sequence[float]]) -> Array | None:
    """Rows of one width, at least one of either; None otherwise, and for an int beyond a float."""
    width = len(rows[0]) if rows else 0
    if width == 0:
        return None
    pack = struct.Struct(f"{width}d").pack
    try:
        packed = bytearray().join([pack(*row) for row in rows])
    except (struct.error, OverflowError):  # of another width; beyond a float
        return None
    return np.frombuffer(packed, np.float64).reshape(len(rows), width)


def encode_numbers(values: Array) -> str | None:
    """What `json.dumps(values.tolist())` gives, or None where only that can tell.

    msgspec writes a float as `repr` does, except for exponents, and leaves no space after a comma.
    """
    if values.dtype.kind not in "fiu" or values.nbytes < LARGE_BYTES or values.dtype.itemsize > 8:
        return None
    if values.dtype.kind == "f":
        sizes = np.abs(values[values != 0].astype(np.float64))
        if sizes.size and not (sizes.min() >= _SHORTEST and sizes.max() < _LONGEST):
            return None
    msgspec = _msgspec()
    if msgspec is None:
        return None
    encoded: bytes = msgspec.json.encode(values.tolist())
    return encoded.replace(b",", b", ").decode("ascii")
