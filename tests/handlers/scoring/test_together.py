"""Requests that are scored in one call are answered as each would be alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.scoring.errors import ScoringError
from handlers.scoring.request_merging import RequestMerger, Scored
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings
from tests.handlers.scorers import TWO_COLUMNS, manifest

POISON = 666.0
TENSOR = {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]}


class Doubling:
    """Twice the first column; raises where it holds POISON; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        values = np.asarray(data["x"] if isinstance(data, dict) or hasattr(data, "iloc") else data)
        self.calls.append(len(values))
        if (values == POISON).any():
            raise ValueError("poison")
        return values * 2.0 * ((params or {}).get("scale") or 1.0)


class Summing(Doubling):
    """One answer for all rows."""

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        return [float(super().predict(data, params).sum())]


def together(
    model: Any, signature: Any = TWO_COLUMNS, **values: Any
) -> tuple[RequestMerger, Scorer]:
    made = manifest(signature, **values)
    scorer = Scorer(made, model, Settings.read(made, {}))
    return RequestMerger(scorer), scorer


def alone(scorer: Scorer, request: Any) -> Any:
    try:
        return scorer.invoke(request)
    except ScoringError as error:
        return error.error_code, error.message


def shown(result: Any) -> Any:
    if isinstance(result, Scored):
        return json.loads(result.body)
    return result.error_code, result.message


def rows(*values: float) -> dict[str, Any]:
    return {"dataframe_records": [{"x": value, "kind": "a"} for value in values]}


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_records_of_one_form_are_one_call(frame: str) -> None:
    model = Doubling()
    score, _ = together(model, frame=frame)

    results = score.score([rows(1.0), rows(2.0, 3.0), rows(4.0)])

    assert model.calls == [4]
    assert [shown(result)["predictions"] for result in results] == [[2.0], [4.0, 6.0], [8.0]]
    assert [result.rows for result in results if isinstance(result, Scored)] == [1, 2, 1]


def test_other_parameters_are_another_call() -> None:
    model = Doubling()
    score, _ = together(model)

    results = score.score([rows(1.0), {**rows(1.0), "params": {"scale": 3.0}}, rows(2.0)])

    assert model.calls == [2, 1]
    assert [shown(result)["predictions"] for result in results] == [[2.0], [6.0], [4.0]]


def test_tensors_go_together() -> None:
    model = Doubling()
    score, _ = together(model, TENSOR)

    results = score.score([{"inputs": [[1.0, 2.0]]}, {"inputs": [[3.0, 4.0], [5.0, 6.0]]}])

    assert model.calls == [3]
    assert [shown(r)["predictions"] for r in results] == [[[2.0, 4.0]], [[6.0, 8.0], [10.0, 12.0]]]


def test_a_model_that_checks_its_own_input_gets_one_list() -> None:
    class Listing:
        def predict(self, data: Any, params: Any) -> Any:
            seen.append(data)
            return [value["x"] for value in data]

    seen: list[Any] = []
    score, _ = together(Listing(), signature_from_type_hints=True)

    results = score.score([{"inputs": [{"x": 1}]}, {"inputs": [{"x": 2}, {"x": 3}]}])

    assert seen == [[{"x": 1}, {"x": 2}, {"x": 3}]]
    assert [shown(result)["predictions"] for result in results] == [[1], [2, 3]]


def test_a_record_that_breaks_the_model_is_alone_in_it() -> None:
    model = Doubling()
    score, _ = together(model)

    results = score.score([rows(float(value)) for value in (1, POISON, 3, 4)])

    assert [isinstance(result, Scored) for result in results] == [True, False, True, True]
    assert model.calls == [4, 2, 1, 1, 2]


def test_an_answer_that_is_not_by_row_is_asked_for_one_by_one() -> None:
    score, scorer = together(Summing())
    requests = [rows(1.0, 2.0), rows(3.0)]

    results = score.score(requests)

    assert [shown(result) for result in results] == [alone(scorer, each) for each in requests]


def test_merging_can_be_left_off() -> None:
    model = Doubling()
    _, scorer = together(model)

    RequestMerger(scorer, merge=False).score([rows(1.0), rows(2.0)])

    assert model.calls == [1, 1]


def test_a_table_of_answers_is_cut_by_rows() -> None:
    import pandas as pd

    class Table(Doubling):
        def predict(self, data: Any, params: Any) -> Any:
            return pd.DataFrame({"twice": super().predict(data, params)})

    score, _ = together(Table(), frame="pandas")

    results = score.score([rows(1.0), rows(2.0, 3.0)])

    expected = [[{"twice": 2.0}], [{"twice": 4.0}, {"twice": 6.0}]]
    assert [shown(result)["predictions"] for result in results] == expected


def test_columns_of_answers_are_cut_by_rows() -> None:
    class Columns(Doubling):
        def predict(self, data: Any, params: Any) -> Any:
            return {"twice": super().predict(data, params)}

    score, _ = together(Columns())

    results = score.score([rows(1.0), rows(2.0, 3.0)])

    expected = [{"twice": [2.0]}, {"twice": [4.0, 6.0]}]
    assert [shown(result)["predictions"] for result in results] == expected


def test_what_is_no_number_is_null() -> None:
    class Nothing(Doubling):
        def predict(self, data: Any, params: Any) -> Any:
            return super().predict(data, params) * np.nan

    score, _ = together(Nothing())

    (result,) = score.score([rows(1.0)])

    assert shown(result) == {"predictions": [None]}


VALUES = st.one_of(st.floats(-100, 100), st.just(POISON))
GOOD = st.lists(VALUES, min_size=1, max_size=4).map(lambda values: rows(*values))
SPLIT = st.lists(VALUES, min_size=1, max_size=3).map(
    lambda values: {
        "dataframe_split": {"columns": ["kind", "x"], "data": [["b", v] for v in values]}
    }
)
SCALED = st.tuples(GOOD, st.sampled_from([1.0, 2.0, "two"])).map(
    lambda pair: {**pair[0], "params": {"scale": pair[1]}}
)
BAD = st.sampled_from(
    [
        {},
        {"dataframe_records": []},
        {"dataframe_records": [{"x": "one", "kind": "a"}]},
        {"dataframe_records": [{"kind": "a"}]},
        {"inputs": [1], "instances": [1]},
        {"inputs": {"x": [1.0, 2.0], "kind": ["a"]}},
        {"messages": [{"role": "user"}]},
    ]
)


@pytest.mark.few(1)
@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@settings(deadline=None)
@given(requests=st.lists(st.one_of(GOOD, SPLIT, SCALED, BAD), max_size=12))
def test_any_mix_is_answered_as_each_alone(frame: str, requests: list[Any]) -> None:
    score, scorer = together(Doubling(), frame=frame)

    results = score.score(requests)

    assert [shown(result) for result in results] == [alone(scorer, each) for each in requests]
