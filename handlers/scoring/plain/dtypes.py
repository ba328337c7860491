"""Dtypes and scalars of our own, by numpy's names and with its conversions."""

from __future__ import annotations

import builtins
import itertools
from array import array as buffer
from collections.abc import Callable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, Self, TypeAlias

Cell: TypeAlias = "Any"
"""A value of JSON's, or a scalar of ours; Python tells of which class."""
Cells: TypeAlias = "Any"
"""A list of them, or a buffer of numbers."""
_NULL = type(None)
_SEQUENCE: Final = "setting an array element with a sequence."
_EXACT_BITS: Final = 53
_KEPT_BITS: Final = 50


class DType:
    """One dtype; there is one object of each, whatever it is asked for by."""

    __slots__ = ("_shown", "itemsize", "kind", "name", "str")
    name: builtins.str
    kind: builtins.str
    itemsize: int
    str: builtins.str
    _shown: builtins.str

    def __class_getitem__(cls, _: object) -> type[Self]:
        return cls

    def __new__(cls, spec: object) -> Self:
        """Raises TypeError for a dtype that tables of scalar columns do not have."""
        if isinstance(spec, cls):
            return spec
        known: Self | None = _KNOWN.get(spec)
        if known is None:
            msg = f"data type {spec!r} not understood"
            raise TypeError(msg)
        return known

    @classmethod
    def add(cls, name: builtins.str, code: builtins.str, *specs: object) -> Self:
        """Make known a dtype by its name, its code (order, kind, bytes) and what else it has."""
        made = object.__new__(cls)
        made.name, made.kind, made.str = name, code[1], code
        made.itemsize = int(code[2:])
        made._shown = name if made.itemsize else code
        _KNOWN.update(dict.fromkeys((name, code, *specs), made))
        _KNOWN[made] = made
        return made

    def __str__(self) -> builtins.str:
        return self._shown

    def __repr__(self) -> builtins.str:
        return f"dtype({self._shown!r})"

    def __eq__(self, other: object) -> bool:
        return self is other or (not isinstance(other, DType) and _KNOWN.get(other) is self)

    def __hash__(self) -> int:
        return hash(self.str)


_KNOWN: Final[dict[object, Cell]] = {}


class Generic:
    """A scalar that has a dtype, as one cell of an array is."""

    __slots__ = ()

    def item(self) -> Cell:
        """Python's own value."""
        raise NotImplementedError


class Number(Generic):
    """A scalar that is a number, which a truth value is not."""

    __slots__ = ()


class Int32(int, Number):
    def item(self) -> int:
        return int(self)


class Int64(int, Number):
    def item(self) -> int:
        return int(self)


class UInt64(int, Number):
    def item(self) -> int:
        return int(self)


class Float32(float, Number):
    def item(self) -> float:
        return float(self)


class Float64(float, Number):
    def item(self) -> float:
        return float(self)


class Text(str, Generic):
    __slots__ = ()

    def item(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"np.str_({str(self)!r})"


class Bytes(bytes, Generic):
    __slots__ = ()

    def item(self) -> bytes:
        return bytes(self)


class Bool(Generic):
    """A truth value; Python's own has no subclasses."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = bool(value)

    def item(self) -> bool:
        return self._value

    def __bool__(self) -> bool:
        return self._value

    def __int__(self) -> int:
        return int(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __str__(self) -> str:
        return str(self._value)

    def __repr__(self) -> str:
        return f"np.{self._value}_"


# what is said of a value names its type
Bool.__name__, Text.__name__ = "bool", "str_"

BOOL = DType.add("bool", "|b1", bool, Bool)
INT32 = DType.add("int32", "<i4", Int32)
INT64 = DType.add("int64", "<i8", int, Int64)
UINT64 = DType.add("uint64", "<u8", UInt64)
FLOAT32 = DType.add("float32", "<f4", Float32)
FLOAT64 = DType.add("float64", "<f8", float, Float64)
OBJECT = DType.add("object", "|O8", object)
TEXT = DType.add("str", "<U0", str, Text)
BYTES = DType.add("bytes", "|S0", bytes, Bytes)
for _sign, _bytes in itertools.product("ui", (1, 2, 4)):
    if (_sign, _bytes) != ("i", 4):
        _name = f"{'u' * (_sign == 'u')}int{8 * _bytes}"
        DType.add(_name, f"{'|' if _bytes == 1 else '<'}{_sign}{_bytes}")
TIME = DType.add("datetime64[ns]", "<M8")
SCALARS: Final[dict[DType, Callable[[Cell], Generic]]] = {
    BOOL: Bool,
    INT32: Int32,
    INT64: Int64,
    UINT64: UInt64,
    FLOAT32: Float32,
    FLOAT64: Float64,
    TEXT: Text,
    BYTES: Bytes,
}


def limits_of(dtype: DType) -> tuple[int, int]:
    """Least and greatest of an integer dtype."""
    bits = 8 * dtype.itemsize
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def set_cells(values: Sequence[Cell], dtype: DType) -> Cells:
    """Objects as cells of an array, each by its own constructor.

    Raises ValueError, TypeError or OverflowError, as the constructors do.
    """
    if dtype is OBJECT:
        return list(values)
    kinds = set(map(type, values))
    if dtype is BOOL:
        return list(map(bool, values))
    if dtype.kind in "iu":
        return _set_integers(values, kinds, dtype)
    if dtype.kind == "f":
        whole = list(values) if kinds == {float} else _set_floats(values, kinds)
        return whole if dtype is FLOAT64 else narrow(whole)
    if dtype is TEXT:
        if list in kinds:
            raise ValueError(_SEQUENCE)
        # zeros at the end are what fills an array
        return [str(value).rstrip("\0") for value in values]
    msg = f"no array of {dtype} holds scalars of JSON"
    raise TypeError(msg)


def _set_integers(values: Sequence[Cell], kinds: set[type], dtype: DType) -> Cells:
    cells = list(values) if kinds == {int} else list(map(int, values))
    least, most = limits_of(dtype)
    if cells and not least <= min(cells) <= max(cells) <= most:
        msg = f"Python integer out of bounds for {dtype}"
        raise OverflowError(msg)
    return cells


def _set_floats(values: Sequence[Cell], kinds: set[type]) -> Cells:
    if list in kinds:
        raise ValueError(_SEQUENCE)
    if _NULL in kinds:
        return [float("nan") if value is None else float(value) for value in values]
    return list(map(float, values))


def narrow(cells: Cells) -> Cells:
    """Doubles as the nearest float32 each, in a double again."""
    return buffer("f", cells).tolist()


def cast_cells(cells: Cells, have: DType, want: DType) -> Cells:
    """Cells of an array of one dtype as another's: by C's conversions, which refuse nothing."""
    if have is want or want is OBJECT:
        return list(cells)
    if have.kind not in "biuf" or want is TEXT:
        return set_cells(cells, want)
    if want is BOOL:
        return list(map(bool, cells))
    if want is FLOAT64:
        return buffer("d", cells) if isinstance(cells, buffer) else list(map(float, cells))
    if want.kind == "f":
        return narrow(list(map(_round_once, cells)) if have.kind in "iu" else cells)
    return _cast_to_integers(cells, have, want)


def _cast_to_integers(cells: Cells, have: DType, want: DType) -> Cells:
    least, most = limits_of(want)
    if have.kind == "f":
        return [int(cell) if least - 1 < cell < most + 1 else least for cell in cells]
    span = most - least + 1
    return [(cell - least) % span + least for cell in map(int, cells)]


def _round_once(whole: int) -> float:
    """As a double that rounds to the float32 next to `whole`: never by way of a double's own."""
    size = abs(whole)
    shift = size.bit_length() - _KEPT_BITS
    if size.bit_length() <= _EXACT_BITS:
        return float(whole)
    kept = size >> shift | bool(size & ((1 << shift) - 1))
    return float(kept << shift) if whole > 0 else -float(kept << shift)
