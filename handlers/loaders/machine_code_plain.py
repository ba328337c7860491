"""A model that was compiled to machine code, served without numpy: the frame `plain`.

A column's cells go to the library as an `array.array`, text as bytes with offsets; what it writes
becomes Python's numbers, or labels.
"""

from __future__ import annotations

import math
from array import array as buffer
from collections.abc import Mapping
from itertools import accumulate

from handlers.loaders._libraries import NAN, NONE, Column, Entry, find_address
from handlers.scoring.schema import np

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    import numpy.typing as npt

    from handlers.manifest import Folder, Manifest

    Array = npt.NDArray[Any]
    Buffers = list[Any]
    Options = Mapping[str, Any]
else:
    Array = Buffers = Options = object
_CODES: Final = {"<f8": "d", "<f4": "f", "<i8": "q", "<i4": "i", "|b1": "b"}
"""Of array.array, by the dtype of a column or of an answer."""
_TEXT: Final = "object"
_OF_GRAPHS: Final = ("nan", "infinite", "wide", "within", "levels")
"""Options of what a graph would answer and its model refuses; a library refuses it by itself."""


class PlainLibrary:
    """A library as a predictor; `options` are those of `machine_code.Library` and `Compiled`."""

    def __init__(self, path: Folder, options: Options) -> None:
        """Raises OSError for no library, ValueError or TypeError for options of something else."""
        graphs = [name for name in _OF_GRAPHS if options.get(name)]
        if graphs:
            msg = f"no library has the options {graphs}"
            raise ValueError(msg)
        self._entry = Entry(path, options)
        self._written = np.dtype(self._entry.written)
        self._columns = [feed["columns"][0] for feed in options["feeds"]]
        self._dtypes = [feed["dtype"] for feed in options["feeds"]]
        kinds = ["|O" if each == _TEXT else np.dtype(each).str for each in self._dtypes]
        self._codes = [_CODES.get(kind) for kind in kinds]
        self._entry.check_columns(kinds, [0])
        self._dtype = np.dtype(options["dtype"])
        self._tail: tuple[int, ...] = tuple(options["shape"])
        self._labels: list[object] | None = options.get("labels")
        self._missing: str | None = options.get("missing_text")
        self._beside_words = NAN if options.get("nan_beside_words") else NONE
        self._names: list[str] | None = options.get("names")
        self._refuses_none = bool(options.get("empty"))

    @property
    def row_library(self) -> Entry | None:
        """The library where it reads requests too."""
        # what stands for a missing word could be sent as one, if it were a text like others
        is_apart = self._missing is None or min(self._missing, default=" ") < " "
        return self._entry if self._entry.reads and is_apart else None

    def predict(self, data: Mapping[str, Array], params: dict[str, object] | None) -> object:  # noqa: ARG002 - as sklearn
        """An array; of a model that answers with a table its rows as records.

        Raises ValueError for values that the registered model refuses, KeyError for a column.
        """
        given = [data[name] for name in self._columns]
        self._entry.check_columns(self._entry.columns, list(map(len, given)))
        held: Buffers = []
        forms = zip(given, self._dtypes, self._codes)
        columns = [self._make_column(*each, held) for each in forms]
        rows = len(given[0])
        if not rows and self._refuses_none:
            raise ValueError("the model refuses a table without rows")
        answer = self._answer(rows, columns)
        if self._names is None:
            return answer
        names = list(enumerate(self._names))
        return [{name: row[at] for at, name in names} for row in answer.tolist()]

    def _answer(self, rows: int, columns: list[Column]) -> Array:
        size = rows * self._entry.width
        written = buffer(_CODES[self._entry.written], bytes(size * self._written.itemsize))
        if rows:  # what is empty has no address
            self._entry.answer_rows(rows, columns, written.buffer_info()[0])
        places = written.tolist()
        labels = self._labels
        cells = places if labels is None else [labels[place] for place in places]
        answer = np.array(cells, self._dtype)
        return answer.reshape(rows, *self._tail) if self._tail else answer

    def _make_column(self, column: Array, dtype: str, code: str | None, held: Buffers) -> Column:
        """Make buffers of a column, which are `held`, and say where they are."""
        parts = getattr(column, "held", None)
        if parts is not None and column.dtype.name == dtype:
            held.append(parts)
            return Column(*map(_find_place, parts))
        if code is None:
            return self._make_text(column.tolist(), held)
        values = getattr(column, "cells", None)
        if not isinstance(values, buffer) or values.typecode != code:
            whole = column if column.dtype.name == dtype else column.astype(dtype)
            values = buffer(code, whole.tolist())
        held.append(values)
        return Column(values.buffer_info()[0], None, None)

    def _make_text(self, values: list[object], held: Buffers) -> Column:
        is_text = set(map(type, values)) <= {str}
        words: list[str] = values if is_text else list(map(self._read_word, values))  # type: ignore[assignment]
        text = "".join(words)
        parts: list[str] | list[bytes] = words
        if not text.isascii():
            parts = [word.encode("utf-8", "surrogatepass") for word in words]
        offsets = buffer("q", accumulate(map(len, parts), initial=0))
        # never empty: a pointer to nothing is read nowhere, but may not be null
        whole = buffer("b", text.encode("utf-8", "surrogatepass") + b"\0")
        missing = buffer("b", bytes(len(words)))
        if self._missing in words:
            null = [word == self._missing for word in words]
            code = NONE if all(null) else self._beside_words
            missing = buffer("b", [code if each else 0 for each in null])
        held += [offsets, whole, missing]
        return Column(*(each.buffer_info()[0] for each in (whole, offsets, missing)))

    def _read_word(self, value: object) -> str:
        if isinstance(value, str):
            return value
        null = value is None or (isinstance(value, float) and math.isnan(value))
        if self._missing is None or not null:
            raise ValueError("the model refuses a value that is no text")
        return self._missing


def _find_place(part: buffer[int] | bytearray) -> int:
    return find_address(part) if isinstance(part, bytearray) else part.buffer_info()[0]


def load(manifest: Manifest, folder: Folder) -> PlainLibrary:
    """Raises what `PlainLibrary` raises."""
    options = manifest.options
    return PlainLibrary(f"{folder}/{manifest.model_path}/{options['file']}", options)
