"""A model of another flavor, compiled to machine code: a library, asked through ctypes.

It takes one buffer for each column of the signature, text as bytes with offsets, and writes
answers, or positions among the labels, into one more. All else is as for a graph.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from handlers.loaders.compiled import Compiled
from handlers.manifest import Manifest

Array = npt.NDArray[Any]
Options = Mapping[str, Any]
_ALL_ANSWERED: Final = -1
_NO_MEMORY: Final = -2


class _Column(ctypes.Structure):
    # ctypes reads it once, when the class is made
    _fields_ = (  # type: ignore[mutable-override]
        ("values", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("missing", ctypes.c_void_p),
    )


class Library:
    """A compiled model as `compiled.Compiled` asks a session.

    `options` has `width` (numbers in an answer), `written` (their dtype), `labels` (what a
    position stands for, and their `label_dtype`) and `missing_text`.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self._answer = ctypes.CDLL(str(path)).answer
        self._answer.restype = ctypes.c_int64
        self._answer.argtypes = [ctypes.c_int64, ctypes.POINTER(_Column), ctypes.c_void_p]
        self._width: int = options["width"]
        self._written = np.dtype(options["written"])
        self._missing: str | None = options.get("missing_text")
        labels = options.get("labels")
        self._labels = None if labels is None else np.array(labels, options["label_dtype"])

    def run(self, _outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Raises ValueError for a row that the model refuses, MemoryError without memory."""
        held: list[Array] = []
        columns = [each for feed in feeds.values() for each in self._buffers(feed, held)]
        rows = len(next(iter(feeds.values())))
        answer = np.empty((rows, self._width), self._written)
        found = self._answer(rows, (_Column * len(columns))(*columns), answer.ctypes.data)
        if found == _NO_MEMORY:
            raise MemoryError
        if found != _ALL_ANSWERED:
            msg = f"the model refuses row {found}: a category that it has not seen"
            raise ValueError(msg)
        return [answer if self._labels is None else self._labels[answer]]

    def _buffers(self, feed: Array, held: list[Array]) -> list[_Column]:
        """Columns side by side, of one dtype; what they point to is `held`."""
        table = feed.reshape(len(feed), math.prod(feed.shape[1:]))
        found = []
        for at in range(table.shape[1]):
            if table.dtype != object:
                values = np.ascontiguousarray(table[:, at])
                held.append(values)
                found.append(_Column(values.ctypes.data, None, None))
            else:
                found.append(self._text(table[:, at].tolist(), held))
        return found

    def _text(self, words: list[str], held: list[Array]) -> _Column:
        parts = [word.encode("utf-8", "surrogatepass") for word in words]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        # never empty: a pointer to nothing is read nowhere, but may not be null
        whole = np.frombuffer(b"".join(parts) + b"\0", np.uint8)
        missing = np.array([word == self._missing for word in words], np.uint8)
        held += [offsets, whole, missing]
        return _Column(whole.ctypes.data, offsets.ctypes.data, missing.ctypes.data)


def open_library(path: Path, options: Options) -> Compiled:
    """Raises OSError for a library that this machine does not load."""
    return Compiled(Library(path, options), options)


def load(manifest: Manifest, folder: Path) -> Compiled:
    """Raises OSError for a library that this machine does not load."""
    options = manifest.options
    return open_library(folder / manifest.model_path / options["file"], options)
