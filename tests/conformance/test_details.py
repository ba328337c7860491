"""With PACKAGER_ERROR_DETAILS an error says what MLflow's says, to the letter."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

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
    # of columns given twice one is kept, and text that is a time with a zone is kept as text
    '["a", "a", "b"]', "Z", "+00:00", '"index": []', '"index": [1, 2]',
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
