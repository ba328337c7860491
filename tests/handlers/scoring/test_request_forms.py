"""Which requests go to the model together: of one form, with the same parameters, and rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.scoring.request_merging import cut, form, join_rows, length, shares
from handlers.scoring.scorer import Checked


def checked(
    data: Any, params: Any = None, *, unwrapped: bool = False, raw: bool = False
) -> Checked:
    return Checked(data=data, params=params, given=params, unwrapped=unwrapped, raw=raw)


def array(*shape: int, dtype: str = "f8") -> Any:
    return np.zeros(shape, dtype)


def frame(**columns: Any) -> Any:
    return pd.DataFrame(columns)


PAIRS: tuple[tuple[Any, Any, bool], ...] = (
    (array(1, 2), array(5, 2), True),
    (array(1, 2), array(1, 3), False),
    (array(1, 2), array(1, 2, dtype="f4"), False),
    (array(1), array(1, 1), False),
    (array(1, dtype="U3"), array(1, dtype="U9"), True),
    (array(1, dtype="S3"), array(1, dtype="S9"), True),
    (array(1, dtype="S3"), array(1, dtype="U3"), False),
    (array(1, dtype="S4096"), array(1, dtype="S4095"), True),
    (array(1, dtype="S4097"), array(1, dtype="S4096"), False),
    ({"a": array(1)}, {"a": array(3)}, True),
    ({"a": array(1)}, {"b": array(1)}, False),
    ({"a": array(1), "b": array(1)}, {"a": array(1)}, False),
    ({"a": array(1), "b": array(1)}, {"b": array(1), "a": array(1)}, False),
    ({"a": array(1)}, {"a": array(1, dtype="i8")}, False),
    ({"a": array(1, 2)}, {"a": array(1, 3)}, False),
    ({"a": array(1)}, array(1), False),
    (frame(a=[1.0]), frame(a=[2.0, 3.0]), True),
    (frame(a=[1.0]), frame(a=[1]), False),
    (frame(a=[1.0]), frame(b=[1.0]), False),
    (frame(a=[1.0], b=[1.0]), frame(b=[1.0], a=[1.0]), False),
)


@pytest.mark.parametrize(("one", "other", "together"), PAIRS, ids=range(len(PAIRS)))
def test_rows_of_one_form_go_together(one: Any, other: Any, *, together: bool) -> None:
    first, second = form(checked(one)), form(checked(other))

    assert first is not None
    assert second is not None
    assert (first == second) is together


ALONE: tuple[Any, ...] = (
    array(),
    array(0, 2),
    {},
    {"a": array(0)},
    {"a": array()},
    {"a": array(2), "b": array(3)},
    {"a": array(1), "b": [1.0]},
    frame(),
    frame(a=[]),
    frame(a=[1.0]).set_index(pd.Index([7])),
    pd.DataFrame({"a": [1.0]}, index=pd.RangeIndex(1, 2)),
    frame(a=pd.Categorical(["x"])),
    pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]),
    [1.0],
    "text",
    None,
)


@pytest.mark.parametrize("data", ALONE, ids=range(len(ALONE)))
def test_what_could_reach_the_model_in_another_form_goes_alone(data: Any) -> None:
    assert form(checked(data)) is None


def test_a_list_goes_with_others_only_to_a_model_that_checks_its_own_input() -> None:
    assert form(checked([1], raw=True)) == form(checked(["a", "b"], raw=True)) is not None
    assert form(checked([], raw=True)) is None
    assert form(checked({"a": 1}, raw=True)) is None


def test_an_answer_that_is_not_wrapped_is_one_request_s() -> None:
    assert form(checked(array(1), unwrapped=True)) is None


@pytest.mark.parametrize("data", [array(1), {"a": array(1)}, frame(a=[1.0])], ids=range(3))
def test_parameters_have_to_be_the_same(data: Any) -> None:
    plain = form(checked(data))

    assert form(checked(data, {"a": 1, "b": 2})) == form(checked(data, {"b": 2, "a": 1}))
    assert form(checked(data, {"a": 1})) not in {plain, form(checked(data, {"a": 2}))}


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ([array(1, 2), array(2, 2)], 3),
        ([{"a": array(1), "b": array(1)}, {"a": array(2), "b": array(2)}], 3),
        ([[1], [2, 3]], 3),
        ([frame(a=[1.0]), frame(a=[2.0, 3.0])], 3),
    ],
    ids=range(4),
)
def test_rows_are_put_together_in_order(parts: list[Any], count: int) -> None:
    joined = join_rows(parts)

    assert type(joined) is type(parts[0])
    assert length(joined) == count
    assert sum(map(length, parts)) == count
    if isinstance(joined, pd.DataFrame):
        assert joined.index.tolist() == [0, 1, 2]
        assert joined["a"].tolist() == [1.0, 2.0, 3.0]
    if isinstance(joined, dict):
        assert list(joined) == ["a", "b"]


@pytest.mark.parametrize(
    ("prediction", "parts"),
    [
        ([1, 2, 3], [[1], [2, 3]]),
        ([1, 2], None),
        ([1, 2, 3, 4], None),
        ("abc", None),
        (7, None),
        (np.array(7), None),
        ({}, None),
        ({"a": [1, 2, 3]}, [{"a": [1]}, {"a": [2, 3]}]),
        ({"a": [1, 2, 3], "b": [1]}, None),
        ({"a": 1}, None),
    ],
    ids=range(10),
)
def test_an_answer_is_cut_where_it_has_a_row_for_each(prediction: Any, parts: Any) -> None:
    assert shares(prediction, [1, 2]) == parts


def test_arrays_and_tables_are_cut_by_rows() -> None:
    found = shares(np.arange(6).reshape(3, 2), [1, 2])
    assert found is not None
    assert [each.tolist() for each in found] == [[[0, 1]], [[2, 3], [4, 5]]]
    assert shares(np.arange(6).reshape(2, 3), [1, 2]) is None
    assert cut(pd.Series([5, 6, 7]), 1, 3).tolist() == [6, 7]
