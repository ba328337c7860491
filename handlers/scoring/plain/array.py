"""An array of our own: cells in one list, a dtype and a shape; and what is done with whole ones."""

from __future__ import annotations

import builtins
import math
from array import array as buffer
from collections.abc import Callable, Iterable, Iterator, Sequence

from handlers.scoring.plain.dtypes import (
    BOOL,
    FLOAT64,
    INT64,
    OBJECT,
    SCALARS,
    TEXT,
    UINT64,
    Cell,
    Cells,
    DType,
    Generic,
    cast_cells,
    limits_of,
    set_cells,
)
from handlers.values import zip_equal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Self, TypeAlias

Shape: TypeAlias = "tuple[int, ...]"
nan: Final = math.nan
_MOST_DIMENSIONS: Final = 64
_RAGGED: Final = (
    "setting an array element with a sequence. The requested array has an inhomogeneous shape."
)
_NUMBERS: Final = frozenset({bool, int, float})
_CODES: Final = {FLOAT64: "d", INT64: "q"}
"""Of buffers that take JSON's numbers as `set_cells` does, and refuse whatever else it is for."""
_BOOLS: Final = {bool}


class Array:
    """Cells in row order: a list, or a buffer of numbers as they were read."""

    __slots__ = ("cells", "dtype", "shape")
    __hash__ = None  # type: ignore[assignment]  # what is equal is told cell by cell

    def __init__(self, cells: Cells, dtype: DType, shape: Shape | None = None) -> None:
        self.cells, self.dtype = cells, dtype
        self.shape: Shape = (len(cells),) if shape is None else shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return len(self.cells)

    @property
    def nbytes(self) -> int:
        return len(self.cells) * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.tolist())

    def item(self) -> Cell:
        (cell,) = self.cells
        return cell

    def tolist(self) -> Cell:
        """Python's own values, in lists in lists."""
        if self.ndim == 1:
            return list(self.cells)
        return _nest(list(self.cells), self.shape) if self.shape else self.cells[0]

    def astype(self, dtype: object, *, copy: bool = True) -> Array:  # noqa: ARG002  always one
        wanted = DType(dtype)
        return Array(cast_cells(self.cells, self.dtype, wanted), wanted, self.shape)

    def reshape(self, *shape: int) -> Array:
        """Raises ValueError for a shape of another number of cells."""
        if math.prod(shape) != len(self.cells):
            msg = f"cannot reshape array of size {len(self.cells)} into shape {shape}"
            raise ValueError(msg)
        return Array(self.cells, self.dtype, shape)

    def __class_getitem__(cls, _: object) -> type[Self]:
        return cls

    def copy(self) -> Array:
        return Array(list(self.cells), self.dtype, self.shape)

    def __getitem__(self, key: Cell) -> Cell:
        """Read a cell or a row by place, rows by slice or truths, a column by `[:, place]`."""
        if isinstance(key, tuple):
            rows, column = key
            return Array(self.cells[column :: self.shape[1]], self.dtype)[rows]
        if isinstance(key, Array):
            kept = [cell for cell, wanted in zip_equal(self.cells, key.cells) if wanted]
            return Array(kept, self.dtype)
        if isinstance(key, slice):
            width = math.prod(self.shape[1:])
            places = range(*key.indices(len(self)))
            cells = [c for at in places for c in self.cells[at * width : (at + 1) * width]]
            return Array(cells, self.dtype, (len(places), *self.shape[1:]))
        if self.ndim == 1:
            scalar = SCALARS.get(self.dtype)
            return self.cells[key] if scalar is None else scalar(self.cells[key])
        return Array(self[key : key + 1 or None].cells, self.dtype, self.shape[1:])

    def __setitem__(self, key: Cell, value: Cell) -> None:
        """One cell by its place, or those that `key` has true, in order."""
        if isinstance(key, Array):
            new = iter(value.cells)
            pairs = zip_equal(self.cells, key.cells)
            self.cells = [next(new) if chosen else cell for cell, chosen in pairs]
        else:
            (self.cells[key],) = set_cells([value], self.dtype)

    def __eq__(self, other: object) -> Array:  # type: ignore[override]
        return self._compare(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> Array:  # type: ignore[override]
        return self._compare(other, lambda a, b: a != b)

    def __invert__(self) -> Array:
        return Array([not cell for cell in self.cells], BOOL, self.shape)

    def _compare(self, other: object, test: Callable[[Cell, Cell], bool]) -> Array:
        others = other.cells if isinstance(other, Array) else [other] * len(self.cells)
        return Array(list(map(test, self.cells, others)), BOOL, self.shape)

    def all(self) -> bool:
        return builtins.all(self.cells)

    def any(self) -> bool:
        return builtins.any(self.cells)


def _nest(cells: Cells, shape: Shape) -> Cells:
    if len(shape) == 1:
        return cells
    width = math.prod(shape[1:])
    return [_nest(cells[at * width : (at + 1) * width], shape[1:]) for at in range(shape[0])]


def array(data: Cell, dtype: object = None) -> Array:
    """An array of what `data` holds: a scalar, an array, or lists in lists.

    Raises ValueError for lists of several lengths, and what `set_cells` raises.
    """
    if isinstance(data, Array):
        return data.copy() if dtype is None else data.astype(dtype)
    wanted = None if dtype is None else DType(dtype)
    shape: Shape
    leaves: Sequence[Cell]
    if not isinstance(data, (list, tuple)):
        shape, leaves = (), [data]
    elif wanted is OBJECT:
        return Array(list(data), OBJECT)
    elif wanted is not None and (cells := _take_cells(data, wanted)) is not None:
        return Array(cells, wanted)
    else:
        shape, leaves = _flatten(data)
    if wanted is None:
        wanted = _infer(leaves)
        if wanted is OBJECT and len(shape) == 1:
            leaves = data  # arrays of no dimension stay arrays among objects
    return Array(set_cells(leaves, wanted), wanted, shape)


def _take_cells(data: Sequence[Cell], wanted: DType) -> Cells:
    """Truths in a list, numbers in a buffer; None for whatever else has to be looked at."""
    if wanted is BOOL:
        return list(data) if set(map(type, data)) == _BOOLS else None
    code = _CODES.get(wanted)
    if code is None:
        return None
    try:
        return buffer(code, data)
    except (TypeError, OverflowError):
        return None


def _flatten(data: Sequence[Cell], depth: int = 1) -> tuple[Shape, Sequence[Cell]]:
    kinds = set(map(type, data))
    if not kinds & {list, tuple, Array}:
        return (len(data),), data
    parts = [_flatten_part(part, depth) for part in data]
    if len({shape for shape, _ in parts}) != 1 or depth >= _MOST_DIMENSIONS:
        raise ValueError(_RAGGED)
    return (len(data), *parts[0][0]), [leaf for _, leaves in parts for leaf in leaves]


def _flatten_part(part: Cell, depth: int) -> tuple[Shape, Sequence[Cell]]:
    if isinstance(part, Array):
        return part.shape, part.cells
    return _flatten(part, depth + 1) if isinstance(part, (list, tuple)) else ((), [part])


def _infer(leaves: Sequence[Cell]) -> DType:
    kinds = set(map(type, leaves))
    if not kinds:
        return FLOAT64
    if len(kinds) == 1 and issubclass(kind := next(iter(kinds)), Generic):
        return DType(kind)
    if kinds == {bool}:
        return BOOL
    if str in kinds and kinds <= {str, *_NUMBERS}:
        return TEXT
    if not kinds <= _NUMBERS:
        return OBJECT
    return _infer_number(
        [leaf for leaf in leaves if type(leaf) is int], beside_float=float in kinds
    )


def _infer_number(whole: Sequence[int], *, beside_float: bool) -> DType:
    least, most = min(whole, default=0), max(whole, default=0)
    if least < limits_of(INT64)[0] or most > limits_of(UINT64)[1]:
        return OBJECT
    end = limits_of(INT64)[1]
    # numbers of 64 bits with a sign and without one have no other dtype in common
    if beside_float or most > end >= least:
        return FLOAT64
    return UINT64 if most > end else INT64


def asarray(data: Cell, dtype: object = None) -> Array:
    return data if isinstance(data, Array) and dtype is None else array(data, dtype)


def empty(count: int, dtype: object = float) -> Array:
    return full(count, 0, dtype)


def full(count: int, fill: Cell, dtype: object = None) -> Array:
    wanted = _infer([fill]) if dtype is None else DType(dtype)
    return Array(set_cells([fill], wanted) * count, wanted)


def fromiter(values: Iterable[Cell], dtype: object, count: int) -> Array:  # noqa: ARG001  numpy's
    wanted = DType(dtype)
    cells = list(values)
    return Array(cells if wanted is OBJECT else set_cells(cells, wanted), wanted)


def repeat(values: Array, count: int) -> Array:
    return Array([cell for cell in values.cells for _ in range(count)], values.dtype)


def concatenate(parts: Sequence[Array]) -> Array:
    """Parts of one width, below one another; of several dtypes they are objects."""
    cells = [cell for part in parts for cell in part.cells]
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    dtypes = {part.dtype for part in parts}
    return Array(cells, dtypes.pop() if len(dtypes) == 1 else OBJECT, shape)


def cumsum(values: Iterable[int]) -> Array:
    total, cells = 0, []
    for value in values:
        total += value
        cells.append(total)
    return Array(cells, INT64)


def ndim(value: Cell) -> int:
    return asarray(value).ndim


def isscalar(value: object) -> bool:
    return isinstance(value, (int, float, complex, str, bytes, Generic))


def _test_cells(values: Cell, test: Callable[[Cell], bool]) -> Array:
    found = asarray(values)
    return Array(list(map(test, found.cells)), BOOL, found.shape)


def isfinite(values: Cell) -> Array:
    return _test_cells(values, math.isfinite)


def isnan(values: Cell) -> Array:
    return _test_cells(values, math.isnan)


def isin(values: Cell, members: Sequence[Cell]) -> Array:
    return _test_cells(values, frozenset(members).__contains__)


def floor(values: Array) -> Array:
    cells = [float(math.floor(v)) if math.isfinite(v) else v for v in values.cells]
    return Array(cells, values.dtype, values.shape)


def abs(values: Array) -> Array:  # noqa: A001  numpy's name
    return Array(list(map(builtins.abs, values.cells)), values.dtype, values.shape)


def nanmax(values: Array, initial: float) -> float:
    return max((cell for cell in values.cells if cell == cell), default=initial)  # noqa: PLR0124  NaN


class iinfo:  # noqa: N801  numpy's name
    """Limits of an integer dtype."""

    def __init__(self, dtype: object) -> None:
        self.min, self.max = limits_of(DType(dtype))


class errstate:  # noqa: N801  numpy's name
    """No warnings are given here, so none are kept back."""

    def __init__(self, **_kinds: str) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_raised: object) -> None: ...
