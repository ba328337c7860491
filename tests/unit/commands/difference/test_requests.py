"""Rows that two models are asked: which inputs they have in common."""

from __future__ import annotations

from typing import Any

import pytest

from packager.commands.difference.requests import _make_strict, merge_inputs

X = {"name": "x", "type": "double"}
Y = {"name": "y", "type": "string", "required": False}
TENSOR = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([X], [X, Y], [X, Y]),
        ([X, Y], [X], [X, Y]),
        ([X], [{**X, "type": "long"}], [{**X, "type": "long"}]),
        ([{**X, "type": "integer"}], [X], [{**X, "type": "integer"}]),
        ([X], [{**X, "type": "string"}], [X]),
        ([], [X], [X]),
        ([], [], []),
        ([TENSOR], [TENSOR], [TENSOR]),
        ([TENSOR], [X], []),
        ([{"type": "double"}], [{"type": "double"}], [{"type": "double"}]),
        ([{"type": "double"}], [X], []),
    ],
)
def test_rows_have_the_columns_of_both(before: Any, after: Any, expected: Any) -> None:
    assert merge_inputs(before, after) == expected


def test_what_only_mlflow_reads_is_null() -> None:
    nan, infinite = float("nan"), float("inf")

    assert _make_strict({"inputs": [nan, [infinite, 1.5], "NaN"]}) == {
        "inputs": [None, [None, 1.5], "NaN"]
    }
