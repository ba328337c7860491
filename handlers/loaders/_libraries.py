"""A library that was compiled from a model: how it is called, which it says itself."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from handlers.manifest import Folder

    Options = Mapping[str, Any]
else:
    Options = object
_LAYOUT: Final = 1
"""The form of the numbers that a library exports of itself, at its start; the only one known."""
_DTYPES: Final = {1: "<f8", 2: "<f4", 3: "<i8", 4: "<i4", 5: "|b1", 6: "|O"}
"""By the code of a kind: what a buffer of it holds. Text is an array of words before it is one."""
_HEAD: Final = 5
_MOST_COLUMNS: Final = 1 << 20
NONE: Final = 1
NAN: Final = 2
"""Of a missing word: what it is in the model's own frame."""
_ALL_ANSWERED: Final = -1
_NO_MEMORY: Final = -2


class Column(ctypes.Structure):
    """Addresses of one column's buffers: numbers, or bytes of text, offsets and what is missing."""

    # ctypes reads it once, when the class is made
    _fields_ = (  # type: ignore[mutable-override]
        ("values", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("missing", ctypes.c_void_p),
    )


_READER: Final = (
    *(ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64),
    *(ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(Column), ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
)
"""Of `read_rows` (packager/engines/machine_code/row_reader.py)."""


class Entry:
    """The library's one function, and what it says of itself.

    `written` is the dtype of an answer, `width` how many a row has, `columns` the dtypes of what
    it reads.
    """

    def __init__(self, path: Folder, options: Options) -> None:
        """Raises OSError for no library, ValueError for one that `options` are not of."""
        library = ctypes.CDLL(str(path))
        self._answer = library.answer
        self._answer.restype = ctypes.c_int64
        self._answer.argtypes = [ctypes.c_int64, ctypes.POINTER(Column), ctypes.c_void_p]
        # a library of before has none
        self._reader = getattr(library, "read_rows", None)
        if self._reader is not None:
            self._reader.restype = ctypes.c_int64
            self._reader.argtypes = _READER
        self.written, self.width, count, self.columns = _read_layout(library)
        labels = options.get("labels")
        if count != len(labels or ()):
            msg = (
                f"the library tells {count} labels apart, and {len(labels or ())} are named: "
                "deploy the artifact whole, as it was built"
            )
            raise ValueError(msg)

    def answer_rows(self, rows: int, columns: Sequence[Column], out: int) -> None:
        """Write the answers to `out`, an address of `rows` times `width` of `written`.

        Raises ValueError for a row that the model refuses, MemoryError without memory.
        """
        found = self._answer(rows, (Column * len(columns))(*columns), out)
        if found == _NO_MEMORY:
            raise MemoryError
        if found != _ALL_ANSWERED:
            msg = f"the model refuses a value of row {found}"
            raise ValueError(msg)

    @property
    def reads(self) -> bool:
        """True where it reads rows of JSON too."""
        return self._reader is not None

    def read_rows(
        self,
        body: bytes,
        place: tuple[int, int],
        kinds: Sequence[int],
        columns: Sequence[Column],
        most: int,
    ) -> int | None:
        """Read rows between two places of a body into buffers for `most` rows: how many there are.

        A column's address has its count of numbers in place of what is missing. None for whatever
        is not plainly rows of these kinds of columns.
        """
        width, rows = len(columns), ctypes.c_int64()
        told = (ctypes.c_int64 * width)(*kinds)
        given = body, len(body), place[0], width, told, (Column * width)(*columns), most
        end = self._reader and self._reader(*given, ctypes.byref(rows))
        return rows.value if end == place[1] else None

    def check_columns(self, handed: Sequence[str], lengths: Sequence[int]) -> None:
        """Raises ValueError for other columns than it reads: of these it would read beyond."""
        if list(handed) != self.columns or len(set(lengths)) != 1:
            msg = (
                f"the library reads columns of {self.columns}, and is handed {list(handed)}: "
                "deploy the artifact whole, as it was built"
            )
            raise ValueError(msg)


def find_address(values: bytearray) -> int:
    """The address of its bytes, which holds for as long as it is there and as long as it is."""
    return ctypes.addressof((ctypes.c_char * len(values)).from_buffer(values))


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
