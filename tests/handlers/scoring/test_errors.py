"""Refusals have MLflow's codes, statuses and classes, and its keys in its order."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException
from mlflow.protos import databricks_pb2

from handlers.scoring.errors import (
    STATUS,
    InvalidInputError,
    ParameterError,
    PlainError,
    SchemaError,
    ScoringError,
    TooLargeError,
    UnhandledError,
)


def test_each_code_has_mlflow_s_status() -> None:
    assert dict(STATUS) == ERROR_CODE_TO_HTTP_STATUS


@pytest.mark.parametrize("code", [*ERROR_CODE_TO_HTTP_STATUS, "FEATURE_DISABLED"])
def test_each_code_is_classified_as_mlflow_classifies_it(code: str) -> None:
    theirs = MlflowException("m", error_code=databricks_pb2.ErrorCode.Value(code))
    ours = ScoringError("m", error_code=code)

    assert json.loads(ours.body()) == json.loads(theirs.serialize_as_json())
    assert list(json.loads(ours.body())) == list(json.loads(theirs.serialize_as_json()))
    assert ours.status == theirs.get_http_status_code()


def test_a_code_that_nobody_knows_is_an_error_of_the_server() -> None:
    assert ScoringError("m", error_code="SOMETHING").status == 500
    assert "error_class" not in json.loads(ScoringError("m", error_code="SOMETHING").body())


@pytest.mark.parametrize("name", ["PREDICTION_FUNCTION_FAILED", "MODEL_SERIALIZATION_FAILED",
                                  "ATTRIBUTE_NOT_FOUND", "SCHEMA_ENFORCEMENT_FAILED"])  # fmt: skip
def test_a_class_that_is_given_has_mlflow_s_state(name: str) -> None:
    code = databricks_pb2.INVALID_PARAMETER_VALUE
    theirs = MlflowException("m", error_code=code, error_class=name)
    ours = ScoringError("m", error_code="INVALID_PARAMETER_VALUE", error_class=name)

    assert json.loads(ours.body()) == json.loads(theirs.serialize_as_json())


@pytest.mark.parametrize(
    ("kind", "status", "code", "error_class"),
    [
        (InvalidInputError, 400, "BAD_REQUEST", "INVALID_PARAMETER_VALUE"),
        (SchemaError, 400, "INVALID_PARAMETER_VALUE", "SCHEMA_ENFORCEMENT_FAILED"),
        (ParameterError, 400, "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE"),
        (TooLargeError, 413, "BAD_REQUEST", "PAYLOAD_TOO_LARGE"),
    ],
)
def test_each_refusal_has_its_status_and_class(
    kind: Callable[[str], ScoringError], status: int, code: str, error_class: str
) -> None:
    error = kind("m")
    body = json.loads(error.body())

    assert (error.status, error.content_type) == (status, "application/json")
    assert (body["error_code"], body["error_class"]) == (code, error_class)
    assert body["message"].endswith("m")
    assert error.message == str(error) == body["message"]


@pytest.mark.parametrize(
    ("make", "status", "text"),
    [
        (lambda: PlainError("no such type", status=415), 415, b"no such type"),
        (UnhandledError, 500, b"Internal Server Error"),
    ],
)
def test_what_mlflow_answers_as_text_is_text(
    make: Callable[[], PlainError], status: int, text: bytes
) -> None:
    error = make()
    assert (error.status, error.body(details=True)) == (status, text)
    assert error.content_type == "text/plain; charset=utf-8"
    assert str(error) == text.decode()


def test_the_two_that_are_text_have_codes_for_the_log() -> None:
    assert PlainError("m", status=415).error_code == "BAD_REQUEST"
    assert UnhandledError().error_code == "INTERNAL_ERROR"


def test_data_and_traces_are_written_only_with_details() -> None:
    error = ScoringError("m", detail="Error: sesame", stack_trace=lambda: "at sesame")

    assert b"sesame" not in error.body()
    assert json.loads(error.body(details=True)) == {
        "error_code": "BAD_REQUEST",
        "message": "m Error: sesame",
        "sqlstate": "KAM00",
        "error_class": "INVALID_PARAMETER_VALUE",
        "stack_trace": "at sesame",
    }
    assert "stack_trace" not in json.loads(ScoringError("m").body(details=True))


@pytest.mark.parametrize(
    ("make", "whole"),
    [
        (lambda: ScoringError("m", whole=lambda: "all of it"), "all of it"),
        (lambda: ScoringError("m"), "m"),
        (lambda: InvalidInputError("m", whole=lambda: "all of it"), "Invalid input. all of it"),
        (lambda: InvalidInputError("m", detail="d"), "Invalid input. m d"),
        (lambda: SchemaError("m", detail="d", whole=lambda: "all of it"), "all of it"),
        (lambda: SchemaError("m", detail="d"), "m d"),
        (lambda: ParameterError("m", whole=lambda: "all of it"), "all of it"),
    ],
    ids=range(7),
)
def test_details_are_the_whole_of_what_mlflow_says(
    make: Callable[[], ScoringError], whole: str
) -> None:
    error = make()
    assert json.loads(error.body(details=True))["message"] == whole
    assert error.get_whole()() == whole


def test_versions_before_the_classes_have_none() -> None:
    assert list(json.loads(SchemaError("m").body(classified=False))) == ["error_code", "message"]
