"""A model of another flavor, compiled to machine code: a library, asked through ctypes.

It takes one buffer for each column of the signature, text as bytes with offsets, and writes
answers, or positions among the labels, into one more. All else is as for a graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handlers.loaders._libraries import NAN, NONE, Column, Entry
from handlers.loaders.compiled import Compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from handlers.manifest import Manifest

    Array = npt.NDArray[Any]
    Options = Mapping[str, Any]
else:
    Array = Options = Any


class Library:
    """A compiled model as `compiled.Compiled` asks a session.

    `options` has `labels` (what a position stands for, and their `label_dtype`), `missing_text`
    and `nan_beside_words` (a null in a column with words is NaN, as pandas 3 reads it). How wide
    an answer is and which columns are read the library itself says.
    """

    def __init__(self, path: Path, options: Options) -> None:
        """Raises OSError for no library, ValueError for one that `options` are not of."""
        self._entry = Entry(path, options)
        self._written = np.dtype(self._entry.written)
        self._missing: str | None = options.get("missing_text")
        self._beside_words = NAN if options.get("nan_beside_words") else NONE
        labels = options.get("labels")
        self._labels = None if labels is None else np.array(labels, options["label_dtype"])

    def run(self, _outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Raises ValueError for a row that the model refuses, MemoryError without memory."""
        kinds = [feed.dtype.str for feed in feeds.values() for _ in range(_width(feed))]
        self._entry.check_columns(kinds, list(map(len, feeds.values())))
        held: list[Array] = []
        columns = [each for feed in feeds.values() for each in self._buffers(feed, held)]
        rows = len(next(iter(feeds.values())))
        answer = np.empty((rows, self._entry.width), self._written)
        self._entry.answer_rows(rows, columns, answer.ctypes.data)
        return [answer if self._labels is None else self._labels[answer]]

    def _buffers(self, feed: Array, held: list[Array]) -> list[Column]:
        """Columns side by side, of one dtype; what they point to is `held`."""
        table = feed.reshape(len(feed), _width(feed))
        found = []
        for at in range(table.shape[1]):
            if table.dtype != object:
                values = np.ascontiguousarray(table[:, at])
                held.append(values)
                found.append(Column(values.ctypes.data, None, None))
            else:
                found.append(self._text(table[:, at].tolist(), held))
        return found

    def _text(self, words: list[str], held: list[Array]) -> Column:
        parts = [word.encode("utf-8", "surrogatepass") for word in words]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        # never empty: a pointer to nothing is read nowhere, but may not be null
        whole = np.frombuffer(b"".join(parts) + b"\0", np.uint8)
        null = [word == self._missing for word in words]
        missing = np.array(null, np.uint8) * (NONE if all(null) else self._beside_words)
        held += [offsets, whole, missing]
        return Column(whole.ctypes.data, offsets.ctypes.data, missing.ctypes.data)


def _width(feed: Array) -> int:
    return math.prod(feed.shape[1:])


def open_library(path: Path, options: Options) -> Compiled:
    """Raises OSError for no library of this machine, ValueError for one of another layout."""
    return Compiled(Library(path, options), options)


def load(manifest: Manifest, folder: Path) -> Compiled:
    """Raises what `open_library` raises."""
    options = manifest.options
    return open_library(folder / manifest.model_path / options["file"], options)
