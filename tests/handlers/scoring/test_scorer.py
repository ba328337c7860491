"""The scorer's routes and limits, and what an exception of the model is answered with."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import pytest

from handlers.scoring.errors import ScoringError, TooLargeError
from handlers.scoring.request_parsing import Request
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings
from tests.handlers.scorers import Recording, manifest, scorer

JSON = "application/json"
BODY = b'{"inputs": {"x": [1.0, 2.0], "kind": ["a", "b"]}}'
ANSWER = b'{"predictions": [1.0, 2.0]}'


def limited(**limits: str) -> Scorer:
    made = manifest()
    return Scorer(made, Recording(), Settings.read(made, limits))


class Raising:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def predict(self, data: Any, params: Any) -> Any:
        raise self._error


class Answering:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def predict(self, data: Any, params: Any) -> Any:
        return self._answer


@pytest.mark.parametrize(("limit", "status"), [(len(BODY), 200), (len(BODY) - 1, 413)])
def test_a_body_may_have_as_many_bytes_as_the_limit(limit: int, status: int) -> None:
    answer = limited(PACKAGER_REQUEST_BYTES=str(limit)).invocations(BODY, JSON)

    assert answer.status == status
    assert status == 200 or str(limit) in json.loads(answer.body)["message"]


@pytest.mark.parametrize(("limit", "status"), [(len(ANSWER), 200), (len(ANSWER) - 1, 413)])
def test_an_answer_may_have_as_many_bytes_as_the_limit(limit: int, status: int) -> None:
    answer = limited(PACKAGER_RESPONSE_BYTES=str(limit)).invocations(BODY, JSON)

    assert answer.status == status
    assert status == 413 or answer.body == ANSWER


def test_a_direct_invoke_s_answer_has_the_same_limit() -> None:
    with pytest.raises(TooLargeError, match="The answer is 27 bytes and the limit is 26"):
        limited(PACKAGER_RESPONSE_BYTES="26").invoke(json.loads(BODY))


def test_a_body_beyond_the_limit_is_not_read() -> None:
    answer = limited(PACKAGER_REQUEST_BYTES="10").invocations(b"\xff" * 11, "no/type")

    assert answer.status == 413


def test_ping_and_version_are_mlflow_s() -> None:
    assert (scorer().ping().status, scorer().ping().body) == (200, b"\n")
    assert scorer().version().status == 200
    assert scorer().version().body == b"3.17.2"
    assert scorer(mlflow_version=None).version().body == b"unknown"
    assert scorer().ping().content_type == scorer().version().content_type == JSON


@pytest.mark.parametrize(("version", "answered"), [("3.10.0", True), ("3.11.0", False)])
def test_head_is_answered_as_that_version_does(version: str, *, answered: bool) -> None:
    assert scorer(mlflow_version=version).head is answered


def test_the_protocol_mends_what_settings_say() -> None:
    made = manifest()
    fixed = Scorer(
        made, Answering(float("nan")), Settings.read(made, {"PACKAGER_PROTOCOL": "fixed"})
    )

    assert fixed.invocations(BODY, JSON).body == b'{"predictions": null}'
    assert scorer(Answering(float("nan"))).invocations(BODY, JSON).body == b'{"predictions": NaN}'


@dataclass
class ClassifiedError(Exception):
    """As an MlflowException, and a model's own error that looks like one."""

    message: Any = "no such thing"
    error_code: Any = "RESOURCE_DOES_NOT_EXIST"
    error_class: Any = None


class Named:
    value = "ATTRIBUTE_NOT_FOUND"


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (ClassifiedError(), 404, {"error_code": "RESOURCE_DOES_NOT_EXIST",
                             "error_class": "RESOURCE_NOT_FOUND"}),
        (ClassifiedError(error_code="UNHEARD_OF"), 500, {"error_code": "UNHEARD_OF"}),
        (ClassifiedError(error_class="SOME_CLASS"), 404, {"error_class": "SOME_CLASS"}),
        (ClassifiedError(error_class=Named()), 404, {"error_class": "ATTRIBUTE_NOT_FOUND"}),
        (ClassifiedError(error_code=7), 400, {"error_code": "BAD_REQUEST"}),
        (ClassifiedError(message=7), 400, {"error_code": "BAD_REQUEST"}),
        (ValueError("sesame"), 400, {"error_code": "BAD_REQUEST"}),
        (MemoryError(), 400, {"error_code": "BAD_REQUEST"}),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_model_s_exception_is_answered_by_its_code(
    error: Exception, status: int, expected: dict[str, str]
) -> None:
    answer = scorer(Raising(error)).invocations(BODY, JSON)

    assert answer.status == status
    body = json.loads(answer.body)
    assert {name: body[name] for name in expected} == expected
    assert b"sesame" not in answer.body


def test_a_model_s_own_message_is_told_where_it_is_one() -> None:
    body = json.loads(scorer(Raising(ClassifiedError())).invocations(BODY, JSON).body)

    assert body["message"] == "Failed to predict data. \nError: no such thing"


def test_a_scoring_error_of_a_loader_goes_through() -> None:
    error = ScoringError("as it is", status=418)

    answer = scorer(Raising(error)).invocations(BODY, JSON)

    assert (answer.status, json.loads(answer.body)["message"]) == (418, "as it is")


def test_where_a_model_raised_is_logged_by_its_last_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    scorer(Raising(KeyError("sesame"))).invocations(BODY, JSON)

    assert "The model raised KeyError at" in caplog.text
    assert "test_scorer.py" in caplog.text


def test_what_is_nested_too_deeply_is_refused() -> None:
    answer = scorer(Raising(RecursionError())).invocations(BODY, JSON)
    assert answer.status == 400


@pytest.mark.parametrize(
    ("answer", "payload", "given"),
    [
        ([1.0], {"inputs": [1]}, {"predictions": [1.0]}),
        ([1.0], {"prompt": "hi"}, {"predictions": [1.0]}),
        ({"a": 1}, {"prompt": "hi"}, {"a": 1}),
        ({"a": 1}, {"inputs": [1]}, {"predictions": {"a": 1}}),
    ],
)
def test_a_direct_invoke_answers_with_an_object(answer: Any, payload: Any, given: Any) -> None:
    assert scorer(Answering(answer), None).invoke(payload) == given


def test_a_row_is_a_request_of_the_form_that_the_model_takes() -> None:
    assert scorer().row({"x": 1}) == {"dataframe_records": [{"x": 1}]}
    hinted = scorer(None, None, signature_from_type_hints=True)
    assert hinted.row({"x": 1}) == {"inputs": [{"x": 1}]}


def test_what_was_checked_says_how_it_is_answered() -> None:
    checked = scorer().check({**json.loads(BODY), "params": {"scale": 2, "other": 1}})
    assert (checked.given, checked.params) == ({"scale": 2, "other": 1}, {"scale": 2.0})
    assert (checked.unwrapped, checked.raw) == (False, False)

    chat = scorer(None, None).check({"prompt": "hi"})
    assert (chat.unwrapped, chat.raw) == (True, False)

    hinted = scorer(None, None, signature_from_type_hints=True)
    assert hinted.enforce_request(Request([1])).raw


def test_without_parameters_a_model_is_handed_none() -> None:
    model = Recording()
    made = scorer(model, {"inputs": [{"type": "double", "name": "x", "required": True}]})

    made.invocations(b'{"inputs": {"x": [1.0]}}', JSON)
    assert model.params is None
    made.invocations(b'{"inputs": {"x": [1.0]}, "params": {"a": 1}}', JSON)
    assert model.params == {}


@pytest.mark.parametrize("details", ["", "1"])
def test_data_that_does_not_fit_is_quoted_only_with_details(details: str) -> None:
    made = manifest()
    told = Scorer(made, Recording(), Settings.read(made, {"PACKAGER_ERROR_DETAILS": details}))
    sent = {"dataframe_records": [{"x": 1.0, "kind": "a"}], "params": {"scale": "sesame"}}

    message = json.loads(told.invocations(json.dumps(sent).encode(), JSON).body)["message"]

    assert message.startswith("Failed to predict data")
    assert ("sesame" in message) is bool(details)


def test_parquet_and_csv_are_read_as_what_they_are() -> None:
    pytest.importorskip("pyarrow", reason="it writes the Parquet")
    table = pd.DataFrame({"x": [1.0, 2.0], "kind": ["a", "b"]})
    made = scorer(frame="pandas")

    bodies = (BODY, JSON), (table.to_csv(index=False).encode(), "text/csv")
    parquet = table.to_parquet(index=False), "application/vnd.apache.parquet"

    for body, media_type in (*bodies, parquet):
        answer = made.invocations(body, media_type)
        assert (answer.status, answer.rows, answer.body) == (200, 2, ANSWER)


def test_a_model_that_checks_its_own_input_gets_it_as_it_was_sent() -> None:
    model = Answering([1.0])
    made = scorer(model, signature_from_type_hints=True)

    checked = made.check({"inputs": [{"x": "not a number"}]})

    assert checked.data == [{"x": "not a number"}]
    with pytest.raises(ScoringError):
        scorer().check({"inputs": [{"x": "not a number"}]})


def test_text_that_no_table_holds_is_refused() -> None:
    pytest.importorskip("pyarrow", reason="pandas without it holds any text")
    bodies = {
        b'{"dataframe_records": [{"x": 1.0, "kind": "\\ud800"}]}': "BAD_REQUEST",
        b'{"inputs": {"x": [1.0], "kind": ["\\ud800"]}}': "INVALID_PARAMETER_VALUE",
    }

    for body, code in bodies.items():
        answer = scorer(frame="pandas").invocations(body, JSON)
        assert (answer.status, json.loads(answer.body)["error_code"]) == (400, code)


REFUSAL = "Failed to predict data. \nError: no such thing"


@pytest.mark.parametrize(
    ("details", "message", "whole", "quotes"),
    [
        ("1", REFUSAL, None, True),
        ("", REFUSAL, None, False),
        ("1", "Something else.", None, False),
        ("1", REFUSAL, "all of it", False),
    ],
)
def test_a_model_s_refusal_quotes_what_was_sent_where_details_are_told(
    details: str, message: str, whole: str | None, *, quotes: bool
) -> None:
    made = manifest()
    told = Scorer(made, Recording(), Settings.read(made, {"PACKAGER_ERROR_DETAILS": details}))
    words = None if whole is None else partial(str, whole)
    error = ScoringError(message, error_code="NOT_FOUND", whole=words)
    request = {"inputs": {"x": [1.0], "kind": ["sesame"]}}

    quoted = told.quote_request(error, told.check(request))

    assert ("sesame" in quoted.get_whole()()) is quotes
    assert (quoted.message, quoted.status) == (message, 404)
