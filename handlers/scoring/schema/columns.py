"""Columns of values with the dtype that a DataFrame made from the same JSON would give them.

The rules are those of `pandas.DataFrame(data)` and `pandas.Series(list)`, worked out on numpy: the
registered model's own server reads a request through these, so what a value becomes depends on its
neighbours in the column.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from handlers.scoring.errors import TooLargeError
from handlers.scoring.schema import np
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import STRING, DataType, Json, Name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Cells: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
"""An array of any dtype, which is one of values."""
_OBJECT = np.dtype(object)
_NAN = float("nan")
_NUMBERS = frozenset({int, float})
_NULL = type(None)
_NULLS, _TRUTHS, _TEXTS = {_NULL}, {bool}, {str}
_INT64_END = 2.0**63
_FREE_BYTES = 64 * 1024 * 1024
_FILL = 4
_CHARACTER_BYTES = 4
_NUMBER_LENGTH = 32
"""Of a number as text, or of null: no more than so many characters, but for integers."""


class Column:
    """One-dimensional cells of a numpy dtype.

    `text` is pandas 3's string dtype: the cells are an object array of str and NaN. `aware` is a
    datetime column with a time zone, which no signature accepts. `series` is of a dtype that numpy
    has not (Parquet's nullable integers and text, categories, zones).
    """

    __slots__ = ("aware", "cells", "series", "text")

    def __init__(
        self,
        cells: Cells,
        *,
        text: bool = False,
        aware: bool = False,
        series: object = None,
    ) -> None:
        self.cells, self.text, self.aware = cells, text, aware
        self.series: Any = series

    def fits(self, wanted: DataType) -> bool:
        """Tell whether it is plainly of a type already; another look may find that it is."""
        if self.series is not None:
            return False
        if self.text:
            return wanted is STRING
        dtype = self.cells.dtype
        return dtype is wanted.dtype and dtype.kind in "biuf"

    @property
    def dtype_name(self) -> str:
        if self.series is not None:
            return str(self.series.dtype)
        return "str" if self.text else str(self.cells.dtype)

    def values(self) -> Any:
        """The cells one by one, as pandas hands them out: Python's numbers, and its own times."""
        kind = self.cells.dtype.kind
        if kind in "mM" and "pandas" in sys.modules:
            return list(sys.modules["pandas"].Series(self.cells))
        return self.cells.tolist() if kind in "biuf" else self.cells


class Table:
    """Contents of a DataFrame: columns in order, and the rows' labels where they were sent.

    `given` is every column in order, where the request gave a name twice: `columns` has the last of
    it. `places` says where in `given` the columns of each name are.
    """

    __slots__ = ("columns", "given", "index", "places", "rows")

    def __init__(
        self,
        columns: dict[Name, Column],
        rows: int,
        index: list[object] | None = None,
        given: list[tuple[Name, Column]] | None = None,
        places: dict[Name, list[int]] | None = None,
    ) -> None:
        self.columns, self.rows, self.index = columns, rows, index
        self.given, self.places = given, {} if places is None else places

    @classmethod
    def name_columns(cls, given: Iterable[tuple[Name, Column]], rows: int) -> Table:
        """A table of columns whose names may repeat."""
        every = list(given)
        columns = dict(every)
        if len(columns) == len(every):
            return cls(columns, rows)
        places: dict[Name, list[int]] = {}
        for at, (name, _) in enumerate(every):
            places.setdefault(name, []).append(at)
        return cls(columns, rows, given=every, places=places)

    @property
    def every(self) -> Iterable[tuple[Name, Column]]:
        return self.columns.items() if self.given is None else self.given

    def repeats(self, name: Name) -> bool:
        """Tell whether the request gave a name twice."""
        return len(self.places.get(name, ())) > 1


def objects(values: Iterable[object], count: int) -> Cells:
    """An object array, one element a value, lists included."""
    return np.fromiter(values, dtype=_OBJECT, count=count)


def check_widths(values: object) -> None:
    """Raises TooLargeError where numpy's array of `values` as text would fill the memory.

    Each of its elements takes the bytes of the longest. `values` may be lists in lists.
    """
    if are_widened(values):
        raise TooLargeError(
            "A text is far longer than the others in its array. Send it in a request of its own."
        )


def are_widened(values: object) -> bool:
    """Tell whether numpy's array of `values` as text takes far more bytes than they do."""
    count = longest = total = 0
    parts: list[Any] = [values] if isinstance(values, list) and values else []
    while parts:
        part = parts.pop()
        kinds = set(map(type, part))
        count += len(part)
        if kinds <= _NUMBERS:
            continue
        parts += [value for value in part if type(value) is list]
        lengths = list(map(len if kinds == {str} else _text_length, part))
        total += sum(lengths)
        longest = max(longest, *lengths, 0)
    size = count * longest * _CHARACTER_BYTES
    return size > max(_FREE_BYTES, _FILL * total * _CHARACTER_BYTES)


def _text_length(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        return len(str(value))
    return value.bit_length() // 3 if type(value) is int else _NUMBER_LENGTH


def check_text(texts: Iterable[str], quirks: Quirks) -> None:
    """Raises UnicodeEncodeError for a lone surrogate, of which pandas 3 makes no text.

    All of them are looked at at once, as nearly all are ASCII.
    """
    if not quirks.text_dtype:
        return
    joined = "".join(texts)
    if joined.isascii():
        return
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        for text in texts:
            text.encode("utf-8")  # tells the place in its own text
        raise


def check_names(names: Sequence[Json], quirks: Quirks) -> None:
    """Raises UnicodeEncodeError where pandas 3 cannot make text of columns' names or rows' labels.

    A label that is a list is the labels of one of several levels.
    """
    if set(map(type, names)) <= {str}:  # as nearly all are
        check_text(names, quirks)
        return
    infer(names, quirks)
    for name in names:
        if isinstance(name, list):
            infer(name, quirks)


def infer(values: Sequence[object], quirks: Quirks) -> Column:
    """The column that pandas makes of a list of JSON (or numpy scalar) values."""
    kinds = set(map(type, values))
    if not kinds or kinds == _NULLS:
        return Column(objects(values, len(values)))
    if kinds <= _NUMBERS:
        return _numbers(values, kinds)
    if kinds == _TRUTHS:
        return Column(np.array(values, dtype=np.bool_))
    if str in kinds:
        return _texts(values, kinds, quirks)
    if _NULL in kinds:
        return _infer_nulls(values, kinds - {_NULL}, quirks)
    if all(issubclass(kind, np.generic) or kind is float for kind in kinds):
        return _infer_scalars(values, kinds, quirks)
    return Column(objects(values, len(values)))


def _infer_nulls(values: Sequence[object], present: set[type], quirks: Quirks) -> Column:
    """Values of the kinds `present`, and null among them, which becomes NaN among numbers."""
    if present <= _NUMBERS:
        if int in present and _fits_no_integer(values):
            return Column(objects(values, len(values)))
        return _numbers([_NAN if v is None else v for v in values], {*present, float})
    if all(issubclass(kind, np.number) for kind in present):
        return infer([_NAN if v is None else v for v in values], quirks)
    return Column(objects(values, len(values)))


def _texts(values: Sequence[object], kinds: set[type], quirks: Quirks) -> Column:
    """Texts among `values`: a column of text for pandas 3 where the others are null or NaN."""
    if quirks.text_dtype and kinds == _TEXTS:
        return _make_text(values, quirks)  # type: ignore[arg-type]
    if quirks.text_dtype and kinds <= {str, float, _NULL}:
        nulls = [v for v in values if type(v) is not str]
        if all(v is None or v != v for v in nulls):  # noqa: PLR0124  true of NaN alone
            return _fill_nulls(values, quirks)
    return Column(objects(values, len(values)))


def _fill_nulls(values: Sequence[object], quirks: Quirks) -> Column:
    check_text([v for v in values if type(v) is str], quirks)
    filled = [v if type(v) is str else _NAN for v in values]
    return Column(objects(filled, len(filled)), text=True)


def _numbers(values: Sequence[object], kinds: set[type]) -> Column:
    if float not in kinds:
        for dtype in (np.int64, np.uint64):
            try:
                return Column(np.array(values, dtype=dtype))
            except OverflowError:
                continue
        return Column(objects(values, len(values)))
    try:
        found = np.array(values, dtype=np.float64)
    except OverflowError:  # an int beyond any float
        return Column(objects(values, len(values)))
    huge = int in kinds and np.nanmax(np.abs(found), initial=0) >= _INT64_END
    if huge and _fits_no_integer(values):
        return Column(objects(values, len(values)))
    return Column(found)


def _fits_no_integer(values: Sequence[object]) -> bool:
    """Tell whether the ints among `values` are beyond both int64 and uint64."""
    ints = [v for v in values if type(v) is int]
    low, high = min(ints, default=0), max(ints, default=0)
    return low < -(2**63) or high >= 2**64 or (high >= 2**63 and low < 0)


def _infer_scalars(values: Sequence[object], kinds: set[type], quirks: Quirks) -> Column:
    """Numpy scalars, NaN (a float) standing for what a record did not have."""
    missing = list(map(_is_float, values)) if float in kinds else []
    present = _leave_out_floats(values) if missing else values
    if not present:
        return Column(np.array(values, dtype=np.float64))
    if kinds <= {np.str_, float}:  # an array of them would give each the bytes of the longest
        made = _make_text(list(map(str, present)), quirks)
        array_kind = "U"
    elif np.bytes_ in kinds:
        return Column(objects(values, len(values)))
    else:
        array = np.array(present)
        made, array_kind = from_array(array, quirks), array.dtype.kind
    if array_kind == "U" and not quirks.text_dtype:
        return Column(objects(values, len(values)))
    if missing and made.cells.dtype.kind == "b":
        return Column(objects(values, len(values)))
    return _spread_cells(made, missing) if missing else made


def _is_float(value: object) -> bool:
    return type(value) is float


def _leave_out_floats(values: Sequence[object]) -> list[object]:
    return [v for v in values if type(v) is not float]


def _spread_cells(made: Column, missing: Sequence[bool]) -> Column:
    """The cells at the places that are not missing, NaN or NaT at the others."""
    dtype: Any = object
    fill: Any = _NAN
    kind = made.cells.dtype.kind
    if kind in "iuf":  # beside Python's NaN pandas makes doubles of any number
        dtype = np.float64
    elif kind == "M":
        dtype, fill = made.cells.dtype, np.datetime64("NaT", "ns")
    spread = np.full(len(missing), fill, dtype=dtype)
    spread[~np.array(missing)] = made.cells
    return Column(spread, text=made.text)


def _make_text(texts: Sequence[str], quirks: Quirks) -> Column:
    check_text(texts, quirks)
    return Column(objects(texts, len(texts)), text=quirks.text_dtype)


def from_array(values: Cells, quirks: Quirks) -> Column:
    """A one-dimensional array as a column: text and bytes become objects, else it is as it is."""
    if values.dtype.kind == "S":
        return Column(values.astype(object))
    if values.dtype.kind == "U":
        return _make_text(values.tolist(), quirks)
    if values.dtype == object:
        return from_objects(values, quirks)
    return Column(values)


def from_objects(values: Cells, quirks: Quirks) -> Column:
    """An object array as a column: pandas 3 looks for text in it, and for nothing else."""
    if quirks.text_dtype and any(type(v) is str for v in values):
        found = infer(values.tolist(), quirks)
        if found.text:
            return found
    return Column(values)


def broadcast(value: object, rows: int, quirks: Quirks) -> Column:
    made = infer([value], quirks)
    return Column(np.repeat(made.cells, rows), text=made.text)
