"""Columns cast to a signature's types where MLflow's versions and numpy's casts differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.asking import ours
from tests.conformance.cases import CSV, JSON, column, tensor
from tests.fuzz.growing import DOUBLES


def split(values: list[Any]) -> bytes:
    return json.dumps(
        {"dataframe_split": {"columns": ["x"], "data": [[value] for value in values]}}
    ).encode()


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize(
    ("version", "cells"),
    [("3.17.2", ["bool False", "bool True"]), ("3.18.0", ["NoneType None", "bool True"])],
)
def test_null_among_booleans_is_null_from_mlflow_3_18_on(
    version: str, cells: list[str], frame: str
) -> None:
    scorer = ours({"inputs": [column("boolean")]}, frame=frame, mlflow_version=version)
    answer = json.loads(scorer.invocations(split([None, True]), JSON).body)

    assert all(cell in json.dumps(answer) for cell in cells)


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("version", ["3.17.2", "3.18.0"])
def test_booleans_without_null_are_booleans(version: str, frame: str) -> None:
    scorer = ours({"inputs": [column("boolean")]}, frame=frame, mlflow_version=version)
    answer = scorer.invocations(split([False, True]), JSON)

    assert answer.status == 200
    assert b"NoneType" not in answer.body.replace(b'"params": "NoneType None"', b"")


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize(
    ("kind", "value", "status"),
    [("uint8", 0.0, 200), ("uint8", 1.0, 200), ("uint8", -1.0, 400), ("int8", -1.0, 200)],
)
def test_what_is_below_zero_is_no_unsigned_number(
    kind: str, value: float, status: int, frame: str
) -> None:
    scorer = ours({"inputs": [tensor(kind, [-1], "x")]}, frame=frame)

    assert scorer.invocations(split([value, 2.0]), JSON).status == status


def test_csv_without_pandas_wants_a_signature() -> None:
    body = b"a,b,x\n1,2,3\n"

    assert ours(None, frame="numpy").invocations(body, CSV).status == 400
    assert ours(None, frame="pandas").invocations(body, CSV).status == 200
    assert ours(DOUBLES, frame="numpy").invocations(body, CSV).status == 200
