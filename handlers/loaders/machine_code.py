"""A model of another flavor, compiled to machine code: a library, asked through ctypes.

It takes one buffer for each column of the signature, text as bytes with offsets, and writes
answers, or positions among the labels, into one more. All else is as for a graph.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from handlers.loaders.compiled import Compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from handlers.manifest import Manifest

    Array = npt.NDArray[Any]
    Options = Mapping[str, Any]
else:
    Array = Options = Any
_LAYOUT: Final = 1
"""The form of the numbers that a library exports of itself, at its start; the only one known."""
_DTYPES: Final = {1: "<f8", 2: "<f4", 3: "<i8", 4: "<i4", 5: "|b1", 6: "|O"}
"""By the code of a kind: what a buffer of it holds. Text is an array of words before it is one."""
_HEAD: Final = 5
_MOST_COLUMNS: Final = 1 << 20
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

    `options` has `labels` (what a position stands for, and their `label_dtype`) and
    `missing_text`. How wide an answer is and which columns are read the library itself says.
    """

    def __init__(self, path: Path, options: Options) -> None:
        """Raises OSError for no library, ValueError for one that `options` are not of."""
        library = ctypes.CDLL(str(path))
        self._answer = library.answer
        self._answer.restype = ctypes.c_int64
        self._answer.argtypes = [ctypes.c_int64, ctypes.POINTER(_Column), ctypes.c_void_p]
        written, self._width, count, self._columns = _read_layout(library)
        self._written = np.dtype(written)
        self._missing: str | None = options.get("missing_text")
        labels = options.get("labels")
        self._labels = None if labels is None else np.array(labels, options["label_dtype"])
        if count != len(labels or ()):
            msg = f"the library tells {count} labels apart, and {len(labels or ())} are named"
            raise ValueError(msg)

    def run(self, _outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Raises ValueError for a row that the model refuses, MemoryError without memory."""
        self._check(feeds)
        held: list[Array] = []
        columns = [each for feed in feeds.values() for each in self._buffers(feed, held)]
        rows = len(next(iter(feeds.values())))
        answer = np.empty((rows, self._width), self._written)
        found = self._answer(rows, (_Column * len(columns))(*columns), answer.ctypes.data)
        if found == _NO_MEMORY:
            raise MemoryError
        if found != _ALL_ANSWERED:
            msg = f"the model refuses a value of row {found}"
            raise ValueError(msg)
        return [answer if self._labels is None else self._labels[answer]]

    def _check(self, feeds: Mapping[str, Array]) -> None:
        """The library reads as many bytes as its kinds have: of other columns it reads beyond."""
        handed = [
            feed.dtype.str for feed in feeds.values() for _ in range(math.prod(feed.shape[1:]))
        ]
        if handed != self._columns or len({len(feed) for feed in feeds.values()}) != 1:
            msg = f"the library reads columns of {self._columns}, and is handed {handed}"
            raise ValueError(msg)

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


def _read_layout(library: ctypes.CDLL) -> tuple[str, int, int, list[str]]:
    """The answer's dtype, its width, how many labels it is one of, and the columns' dtypes.

    Raises ValueError for a library of another layout.
    """
    known = list((ctypes.c_int64 * _HEAD).in_dll(library, "layout"))
    version, kind, width, labels, count = known
    kinds: list[int] = []
    if version == _LAYOUT and 0 < count <= _MOST_COLUMNS:
        kinds = (ctypes.c_int64 * (_HEAD + count)).in_dll(library, "layout")[_HEAD:]
    if not kinds or width < 1 or not {kind, *kinds} <= _DTYPES.keys():
        msg = f"the library is of a layout that is not known: {[*known, *kinds[:9]]}"
        raise ValueError(msg)
    return _DTYPES[kind], width, labels, [_DTYPES[each] for each in kinds]


def open_library(path: Path, options: Options) -> Compiled:
    """Raises OSError for no library of this machine, ValueError for one of another layout."""
    return Compiled(Library(path, options), options)


def load(manifest: Manifest, folder: Path) -> Compiled:
    """Raises what `open_library` raises."""
    options = manifest.options
    return open_library(folder / manifest.model_path / options["file"], options)
