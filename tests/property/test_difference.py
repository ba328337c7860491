"""Answers of any values are compared, judged by limits and drawn, whatever two models say."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.commands.difference.answers import compare_replies
from packager.commands.difference.limits import check_limits, parse_limits
from packager.commands.difference.page import render_difference
from packager.commands.difference.requests import Asked
from packager.commands.difference.running import Reply
from tests.unit.commands.difference import compared

LIMITS: Final = parse_limits(["labels=1%", "max=1", "mean=1", "refused=0"], is_run=True)
VALUES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from([2**63, 10**400, 1e308, -1e308, "</script>", "\u2028\u202e", [], {"a": [1]}]),
)


@st.composite
def replies(draw: st.DrawFn, rows: int) -> Reply:
    if draw(st.integers(0, 9)) == 0:
        return Reply(refusal=draw(st.text(min_size=1, max_size=9)))
    listed = st.lists(VALUES, min_size=rows, max_size=rows)
    shapes = (listed, st.dictionaries(st.sampled_from("xy"), listed), VALUES)
    nested = st.lists(st.lists(VALUES, max_size=2), min_size=rows, max_size=rows)
    return Reply(draw(st.one_of(*shapes, nested)))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_two_models_answer_is_compared(data: st.DataObject) -> None:
    asked: list[Asked] = []
    sides: tuple[list[Reply], list[Reply]] = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        rows = data.draw(st.integers(1, 4))
        row: st.SearchStrategy[list[Any]] = st.lists(VALUES, min_size=2, max_size=2)
        body = {"columns": ["c", "d"], "data": [data.draw(row) for _ in range(rows)]}
        asked.append(Asked("a", {"dataframe_split": body}, rows))
        for side in sides:
            side.append(data.draw(replies(rows)))

    found = compare_replies(asked, *sides, seed=0)

    json.dumps(found, allow_nan=False)
    limits = check_limits(LIMITS, sizes={}, start=None, answers=found)
    page = render_difference(compared.make() | {"answers": found, "limits": limits})
    assert "<script>alert" not in page
    assert "\u202e" not in page
