"""What reaches the model, what comes back, and what never leaves."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from handlers.scoring.errors import ScoringError
from handlers.scoring.responses import row_count
from handlers.scoring.schema.quirks import quirks
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings
from tests.handlers.scorers import Recording, manifest, scorer

JSON = "application/json"


def sent(made: Scorer, **keys: Any) -> Any:
    return made.invocations(json.dumps(keys).encode(), JSON)


@pytest.mark.parametrize(
    "keys",
    [
        {"dataframe_records": [{"kind": "a", "x": 1, "other": 5}, {"x": 2, "kind": "b"}]},
        {"dataframe_split": {"columns": ["kind", "x"], "data": [["a", 1], ["b", 2]]}},
        {"inputs": {"kind": ["a", "b"], "x": [1, 2]}},
        {"instances": [{"kind": "a", "x": 1}, {"x": 2, "kind": "b"}]},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_columns_arrive_in_the_signatures_order_and_dtype(keys: dict[str, Any]) -> None:
    model = Recording()

    sent(scorer(model), **keys)

    assert list(model.data) == ["x", "kind"]
    assert (model.data["x"].dtype, model.data["x"].tolist()) == (np.float64, [1.0, 2.0])
    assert (model.data["kind"].dtype, model.data["kind"].tolist()) == (object, ["a", "b"])
    assert model.params == {"scale": 1.0}


def test_csv_gives_the_same_columns() -> None:
    model = Recording()

    answer = scorer(model).invocations(b'kind,x\n"a,b",1\nNA,NA\n', "text/csv")

    assert answer.status == 200
    assert model.data["kind"][0] == "a,b"
    assert np.isnan(model.data["x"][1])
    assert np.isnan(model.data["kind"][1])


def test_rows_are_counted() -> None:
    answer = sent(scorer(), inputs={"x": [1, 2, 3], "kind": ["a", "b", "c"]})

    assert answer.rows == 3


def test_details_are_written_only_where_asked_for() -> None:
    body = b'{"dataframe_records": [{"x": "sesame", "kind": "a"}]}'
    made = manifest()
    told = Settings.read(made, {"PACKAGER_ERROR_DETAILS": "1"})

    kept = scorer().invocations(body, JSON)
    shown = Scorer(made, Recording(), told).invocations(body, JSON)

    assert b"sesame" not in kept.body
    assert b"sesame" in shown.body


def test_a_stack_trace_is_written_only_where_asked_for() -> None:
    class Failing:
        def predict(self, data: Any, params: Any) -> Any:
            raise RuntimeError("sesame")

    made = manifest()
    told = replace(Settings.read(made, {}), error_details=True)
    keys = {"inputs": {"x": [1], "kind": ["a"]}}

    kept = json.loads(sent(scorer(Failing()), **keys).body)
    shown = json.loads(sent(Scorer(made, Failing(), told), **keys).body)

    assert "stack_trace" not in kept
    assert "RuntimeError: sesame" in shown["stack_trace"]


def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def predict(self, data: Any, params: Any) -> Any:
            raise ValueError(f"cannot use {data}")

    caplog.set_level(logging.DEBUG)
    for keys in (
        {"inputs": {"x": [1], "kind": ["sesame"]}},
        {"inputs": {"x": ["sesame"], "kind": ["sesame"]}},
        {"inputs": {"x": [1], "kind": ["a"], "sesame": [1]}, "params": {"sesame": 1}},
    ):
        sent(scorer(Failing()), **keys)

    assert "ValueError" in caplog.text
    assert "sesame" not in caplog.text


def test_schema_details_can_be_withheld() -> None:
    made = manifest()
    quiet = Settings.read(made, {"MLFLOW_DISABLE_SCHEMA_DETAILS": "true"})

    told = sent(scorer(), dataframe_records=[{"x": 1}])
    kept = sent(Scorer(made, Recording(), quiet), dataframe_records=[{"x": 1}])

    assert b"kind" in told.body
    assert b"kind" not in kept.body


def test_a_direct_invoke_takes_and_gives_decoded_json() -> None:
    answer = scorer().invoke({"inputs": {"x": [1, 2], "kind": ["a", "b"]}, "params": {"scale": 2}})

    assert answer == {"predictions": [2.0, 4.0]}


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"inputs": {"x": ["a"], "kind": ["a"]}}])
def test_a_direct_invoke_raises_for_what_is_wrong(payload: object) -> None:
    with pytest.raises(ScoringError) as caught:
        scorer().invoke(payload)

    assert caught.value.status == 400


def test_an_openai_style_answer_is_not_wrapped() -> None:
    class Chat:
        def predict(self, data: Any, params: Any) -> Any:
            return {"echo": data, "params": params}

    made = scorer(Chat(), None)

    answer = made.invocations(b'{"prompt": "hi", "n": 1}', JSON)

    assert json.loads(answer.body) == {"echo": {"prompt": "hi", "n": 1}, "params": {}}


def test_a_setting_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="PACKAGER_REQUEST_BYTES must be a number"):
        Settings.read(manifest(), {"PACKAGER_REQUEST_BYTES": "6MB"})


@pytest.mark.parametrize(
    ("mlflow_version", "body", "cells"),
    [
        ("3.17.2", {"inputs": {"x": [1], "kind": [None]}}, ["None"]),
        ("3.18.0", {"inputs": {"x": [1], "kind": [None]}}, [None]),
    ],
)
def test_null_text_follows_the_version_of_mlflow(
    mlflow_version: str, body: dict[str, Any], cells: list[Any]
) -> None:
    model = Recording()

    sent(scorer(model, mlflow_version=mlflow_version), **body)

    assert model.data["kind"].tolist() == cells


def test_text_follows_the_version_of_pandas() -> None:
    assert quirks("3.17.2", "2.3.3").text_dtype is False
    assert quirks("3.17.2", "3.1.1").text_dtype is True
    assert quirks("3.17.2", None).text_dtype is True


@pytest.mark.parametrize(
    ("prediction", "rows"),
    [([1, 2, 3], 3), (np.zeros((2, 5)), 2), ([], 0), ({"a": [1, 2]}, 1), ("abc", 1), (b"ab", 1),
     (1.5, 1), (None, 1)],
)  # fmt: skip
def test_rows_are_counted_of_sequences_alone(prediction: Any, rows: int) -> None:
    assert row_count(prediction) == rows
