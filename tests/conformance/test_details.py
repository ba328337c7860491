"""With PACKAGER_ERROR_DETAILS an error says what MLflow's says, to the letter."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from handlers.http.asgi import App
from tests.conformance.asking import ours
from tests.conformance.cases import ALL, Case
from tests.conformance.compare import asked
from tests.conformance.reference import VERSION, theirs

pytestmark = pytest.mark.usefixtures("quiet")
CASES = [case for make in ALL for case in make()]
_STRIDE = 29
UNTOLD = (
    # a set, in an order that changes with the process
    "exactly one of the input fields", "extra inputs: ", "Missing required prop", "schema found: ",
    "Invalid parameters found: ", "Got {", "single positional indexer is out-of-bounds",
    # text that is a time with a zone is kept as text
    "Z", "+00:00", '"index": []', '"index": [1, 2]',
    # text that is no UTF-8 in a table, which cannot be shown
    "surrogates not allowed",
)  # fmt: skip
"""What marks a message, or the body that it is about, whose data is not told as MLflow tells it."""


def wrong(case: Case) -> str | None:
    theirs_app = theirs(case.signature, type_hints=case.type_hints)
    expected = asked(case, theirs_app)
    if expected.status < 400 or expected.content_type != "application/json":
        return None
    scorer = ours(
        case.signature, type_hints=case.type_hints, mlflow_version=VERSION, error_details=True
    )
    told, actual = (_message(body) for body in (expected.body, asked(case, App(scorer)).body))
    marked = told and any(m in told or m in case.body.decode("latin-1") for m in UNTOLD)
    if told == actual or told is None or marked:
        return None
    return f"{case.name}:\n  MLflow {told!r}\n  ours   {actual!r}"


def _message(body: bytes) -> Any:
    answer = json.loads(body)
    return answer.get("message") if isinstance(answer, dict) else None


def test_details_are_mlflows_own_words() -> None:
    assert [found for case in CASES[::_STRIDE] if (found := wrong(case))] == []


@pytest.mark.slow
@pytest.mark.skipif(
    "PACKAGER_EVIDENCE" not in os.environ,
    reason="minutes of what is asked for in part above: PACKAGER_EVIDENCE=1",
)
def test_all_details_are_mlflows_own_words() -> None:
    assert [found for case in CASES if (found := wrong(case))] == []


class Refusing:
    """A model that refuses everything by MLflow's own exception, as type hints do."""

    def predict(self, model_input: Any, params: Any = None) -> Any:
        raise MlflowException("no such data", error_code=RESOURCE_DOES_NOT_EXIST)


COLUMNS = {"inputs": [{"name": "a", "type": "double"}, {"name": "b", "type": "string"}]}
HINTED = {"inputs": [{"type": "long", "required": True}]}


@pytest.mark.parametrize("details", [True, False])
@pytest.mark.parametrize(
    ("signature", "hints", "body"),
    [
        (HINTED, True, {"inputs": [5, "x", None, {"a": [1.5]}]}),
        (HINTED, True, {"inputs": "text"}),
        (HINTED, True, {"inputs": None}),
        (COLUMNS, False, {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "é"]]}}),
        (COLUMNS, False, {"dataframe_records": [{"b": "x", "a": 2.5}, {"a": 1, "b": "y"}]}),
        (COLUMNS, False, {"instances": [{"a": 1, "b": "y"}]}),
        (COLUMNS, False, {"inputs": {"a": [1.5], "b": ["y"]}}),
        (None, False, {"inputs": [[1, 2], [3, 4]]}),
        (None, False, {"messages": [{"role": "user", "content": "hi"}]}),
    ],
)
def test_what_the_model_refuses_is_quoted_where_details_are_told(
    signature: dict[str, Any] | None,
    hints: bool,  # noqa: FBT001 - a column of the table
    body: Any,
    *,
    details: bool,
) -> None:
    model = Refusing()
    scorer = ours(signature, model, type_hints=hints, mlflow_version=VERSION, error_details=details)
    case = Case("refused", signature, json.dumps(body).encode(), type_hints=hints)

    expected = asked(case, theirs(signature, model, type_hints=hints))
    actual = asked(case, App(scorer))

    assert (actual.status, expected.status) == (404, 404)
    if details:
        assert actual.body == expected.body
    else:
        assert _message(actual.body) == "Failed to predict data. \nError: no such data"
