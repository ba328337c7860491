"""What differs between versions, and what the protocol `fixed` mends."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.http.asgi import App
from handlers.scoring.schema.quirks import Quirks, quirks
from tests.conformance.asking import ask, ours
from tests.conformance.cases import column
from tests.conformance.compare import DIFFERENT
from tests.conformance.reference import VERSION, theirs
from tests.conformance.report import DOCUMENT, LEVELS, Level, count

LONG = {"inputs": [column("long")]}
GOOD = b'{"inputs": {"x": [1]}}'
JSON = "application/json"
BEFORE_3_12 = {"utf8_fails", "cast_in_place", "index_is_lost", "classified"}


class Answering:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return self._answer


class Echo:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return [None if v is None else str(v) for v in data["x"]]


def test_the_version_that_is_installed_here_is_a_level() -> None:
    assert (VERSION, int(pd.__version__.partition(".")[0])) in {
        (level.mlflow, level.pandas) for level in LEVELS
    }


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_every_level_is_answered_as_its_own_server_answers(level: Level) -> None:
    for found in count(level):
        assert found.verdicts[DIFFERENT] == 0, found.different[:5]
        assert found.row in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "changed"),
    [
        ("2.22.5", {*BEFORE_3_12, "head", "parquet"}),
        ("3.9.0", {*BEFORE_3_12, "head", "parquet"}),
        ("3.10.1", {*BEFORE_3_12, "head"}),
        ("3.11.1", BEFORE_3_12),
        ("3.12.0", {"utf8_fails", "index_is_lost"}),
        ("3.16.0", {"index_is_lost"}),
        ("3.17.2", set()),
        ("3.18.0", {"null_is_text", "null_is_false"}),
        (None, set()),
    ],
)
def test_a_version_has_the_behaviour_of_its_time(version: str | None, changed: set[str]) -> None:
    found, default = quirks(version, "3.0.1"), Quirks()

    names = Quirks.__dataclass_fields__
    assert {n for n in names if getattr(found, n) != getattr(default, n)} == changed


@pytest.mark.parametrize(
    ("kind", "values", "before", "since"),
    [
        ("boolean", [True, None], ["True", "False"], ["True", None]),
        ("string", ["a", None], ["a", "None"], ["a", "nan"]),
    ],
)
def test_null_stays_null_from_3_18_on(
    kind: str, values: list[Any], before: list[Any], since: list[Any]
) -> None:
    signature, body = {"inputs": [column(kind)]}, json.dumps({"inputs": {"x": values}}).encode()

    for version, expected in (("3.17.2", before), ("3.18.0", since)):
        answer = ours(signature, Echo(), mlflow_version=version).invocations(body, JSON)
        assert json.loads(answer.body)["predictions"] == expected


def test_fixed_writes_json_that_every_reader_takes() -> None:
    answer = np.array([1.5, float("nan"), float("inf"), float("-inf")])

    strict = ours(LONG, Answering(answer)).invocations(GOOD, JSON)
    fixed = ours(LONG, Answering(answer), protocol="fixed").invocations(GOOD, JSON)

    assert strict.body == b'{"predictions": [1.5, NaN, Infinity, -Infinity]}'
    assert fixed.body == b'{"predictions": [1.5, null, null, null]}'


def test_fixed_says_what_to_send_where_no_type_was_sent() -> None:
    strict = ours(LONG).invocations(GOOD, None)
    fixed = ours(LONG, protocol="fixed").invocations(GOOD, None)

    assert (strict.status, strict.body) == (500, b"Internal Server Error")
    assert (fixed.status, fixed.content_type) == (415, "text/plain; charset=utf-8")
    assert b"application/json" in fixed.body


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_fixed_decodes_binary_columns_whichever_way_they_come(key: str) -> None:
    signature = {"inputs": [column("binary")]}
    body = json.dumps({key: [{"x": "AQA="}, {"x": "Yg=="}]}).encode()

    strict = ours(signature, Echo()).invocations(body, JSON)
    fixed = ours(signature, Echo(), protocol="fixed").invocations(body, JSON)

    assert json.loads(strict.body)["predictions"] == ["b'AQA='", "b'Yg=='"]
    assert json.loads(fixed.body)["predictions"] == [repr(b"\x01\x00"), "b'b'"]


def test_fixed_refuses_what_is_no_base64() -> None:
    signature = {"inputs": [column("binary")]}

    for value in (5, "a", None):
        body = json.dumps({"inputs": {"x": [value]}}).encode()
        answer = ours(signature, Echo(), protocol="fixed").invocations(body, JSON)
        assert (answer.status, answer.content_type) == (400, JSON)


class Slow:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        time.sleep(1.5)
        return []


def test_a_request_that_takes_too_long_is_answered_as_mlflow_answers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "1")
    model = Slow()
    threaded = App(ours(LONG, model, request_timeout_seconds=1.0))

    expected, actual = (
        ask(app, "/invocations", body=GOOD, headers={"content-type": JSON})
        for app in (theirs(LONG, model), threaded)
    )

    assert expected.status == 504
    assert actual == expected


def test_disabling_schema_details_hides_the_same_as_mlflow_hides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
    body = b'{"dataframe_records": [{"y": 1}]}'

    expected = ask(theirs(LONG), "/invocations", body=body, headers={"content-type": JSON})
    answer = ours(LONG, schema_details=False).invocations(body, JSON)

    hidden = "Failed to enforce model input schema. Please check your input data."
    assert expected.json["message"].endswith(f"Error: {hidden}")
    assert json.loads(answer.body)["message"] == f"Failed to predict data. \nError: {hidden}"
