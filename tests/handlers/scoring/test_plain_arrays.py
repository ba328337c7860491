"""Our own arrays beside numpy's: the same cells, dtypes, shapes and classes of errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from handlers.scoring import plain

NAMES = ("bool", "int32", "int64", "float32", "float64", "str")
VALUES: tuple[Any, ...] = (
    0, 1, -1, 2**31, 2**31 - 1, -(2**31) - 1, 2**53 + 1, 2**63, 2**63 - 1, -(2**63) - 1, 2**64,
    2**1100, True, False, 1.5, -1.5, -0.0, 3e9, 1e19, 1e39, math.nan, math.inf, "5", " 5 ", "1.5",
    "1_0", "x", "", "nan", "0x10", "1e5", "1e400", "5\0", None, {"a": 1}, {},
)  # fmt: skip
SHAPES: tuple[Any, ...] = (
    [], [[]], [[], []], [[1], [2]], [[1], [2, 3]], [1, [2]], [[1], "a"], [[[1, 2]], [[3, 4]]],
    [["a", "b"]], [{"a": 1}, 2], [None, 1], ["a", 1.5, True], [True, 2], [1, 2.5], 5, "a", None,
    [2**63, 1], [2**63, -1], [2**64, 1], [True, None], [1.5, None],
)  # fmt: skip


def describe(made: Any) -> Any:
    kind = "U" if made.dtype.kind == "U" else str(made.dtype)
    return repr(made.tolist()), kind, made.shape


def attempt(make: Callable[[], Any]) -> Any:
    try:
        with np.errstate(all="ignore"):
            return describe(make())
    except (ValueError, TypeError, OverflowError) as error:
        return type(error)


@pytest.mark.skipif(np.__version__.startswith("1."), reason="numpy 1 wraps what is beyond a width")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_becomes_the_cell_that_it_becomes_in_numpy(name: str, value: Any) -> None:
    assert attempt(lambda: plain.array([value], name)) == attempt(lambda: np.array([value], name))
    ours, theirs = (made.fromiter([value], made.dtype(object), 1) for made in (plain, np))
    assert attempt(lambda: ours.astype(name)) == attempt(lambda: theirs.astype(name))


@pytest.mark.parametrize("data", SHAPES, ids=repr)
@pytest.mark.parametrize("name", [None, "float64", "int64", "str"])
def test_lists_have_the_shape_and_dtype_that_they_have_in_numpy(
    data: Any, name: str | None
) -> None:
    assert attempt(lambda: plain.array(data, name)) == attempt(lambda: np.array(data, name))


@pytest.mark.parametrize(
    ("have", "values"),
    [
        ("bool", [True, False]),
        ("int32", [0, -1, 2**31 - 1]),
        ("int64", [0, -(2**63), 2**63 - 1, 2**40 + 5, 2**24 + 1, 2**62 + 2**38 + 1, -(2**53) - 1]),
        ("uint64", [0, 2**64 - 1, 2**63, 2**62 + 2**38 + 1]),
        ("float32", [0.5, -1.5, 3e9, math.nan, math.inf]),
        ("float64", [0.1, -0.0, 1e300, 3e9, -3e9, 2147483648.5, 1e19, -1.9, math.nan, -math.inf]),
    ],
)
@pytest.mark.parametrize("want", ["bool", "int32", "int64", "float32", "float64", "object"])
def test_an_array_is_cast_as_numpy_casts_it(have: str, values: list[Any], want: str) -> None:
    cast = attempt(lambda: plain.array(values, have).astype(want))
    assert cast == attempt(lambda: np.array(values, have).astype(want))


@pytest.mark.parametrize("name", ["float64", "int64"])
def test_numbers_in_rows_are_lists_in_lists(name: str) -> None:
    """However the cells are held, an answer is written from lists."""
    made = plain.array([1, 2, 3, 4], name).reshape(2, 2)
    assert json.dumps(made.tolist()) == json.dumps(np.array([[1, 2], [3, 4]], name).tolist())


def test_arrays_of_arrays_are_stacked_or_refused() -> None:
    for parts in ([[1], [2]], [[1], [2, 3]], [1, [2]], ["a", "b"], [None, None], [{}, 1]):
        ours = attempt(lambda: plain.array([plain.array(part) for part in parts]))  # noqa: B023
        theirs = attempt(lambda: np.array([np.array(part) for part in parts]))  # noqa: B023
        if parts[-1] is not None and {} not in parts:
            assert ours == theirs
        else:  # arrays of no dimension stay what they are, whose repr is their own
            assert ours[1:] == theirs[1:]


def test_rows_and_columns_are_taken_as_numpy_takes_them() -> None:
    for made in (plain, np):
        table: Any = made.array([[1.5, 2.0], [3.0, math.nan], [5.0, 6.0]])
        assert table[:, 0].tolist() == [1.5, 3.0, 5.0]
        assert table[1::2, 0].tolist() == [3.0]
        assert (table[1:].shape, table[-1].shape, table[0].tolist()) == ((2, 2), (2,), [1.5, 2.0])
        column = table[:, 1]
        assert column[~made.isnan(column)].tolist() == [2.0, 6.0]
        column[~made.isnan(column)] = made.array([7.0, 8.0])
        assert repr(column.tolist()) == "[7.0, nan, 8.0]"
        assert made.concatenate([table, table[:1]]).shape == (4, 2)
        assert made.repeat(made.array(["a", "b"]), 2).tolist() == ["a", "a", "b", "b"]


def test_what_has_a_dtype_says_so() -> None:
    for name in ("int64", "float64", "bool", "int32"):
        ours, theirs = plain.array([1], name), np.array([1], name)
        assert (ours.dtype.str, ours.nbytes, ours.dtype.kind) == (
            theirs.dtype.str,
            theirs.nbytes,
            theirs.dtype.kind,
        )
        assert type(ours[0].item()) is type(theirs[0].item())
        assert plain.isscalar(ours[0])
    assert plain.dtype("<i8") is plain.dtype(plain.int64)
    assert plain.dtype("str") != plain.dtype("object")
    assert plain.array(["a"]).dtype != plain.dtype(object)
    with pytest.raises(TypeError, match="float16"):
        plain.dtype("float16")
    with pytest.raises(TypeError, match="unsized"):
        len(plain.array(5))
    with pytest.raises(ValueError, match="reshape"):
        plain.array([1, 2]).reshape(3)
