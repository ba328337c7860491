"""How `packager invoke` reads what the function answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from packager.emulator import Invocation
from packager.invoke import Outcome, judge


def judged(answer: bytes, *, http: bool) -> Outcome:
    return judge(Invocation(status=200, body=answer, seconds=0.1), http=http)


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ({"predictions": [1]}, "answered"),
        ([1, 2], "answered"),
        ({"errorType": "BadRequestError", "errorMessage": "no"}, "refused"),
        ({"errorType": "PayloadTooLargeError", "errorMessage": "no"}, "refused"),
        ({"errorType": "ModelFailedError", "errorMessage": "no"}, "failed"),
        ({"errorType": "Runtime.ImportModuleError"}, "failed"),
        ({"statusCode": 200, "body": "{}"}, "answered"),
        ({"statusCode": 400, "body": "{}"}, "refused"),
        ({"statusCode": 413, "body": "{}"}, "refused"),
        ({"statusCode": 500, "body": "{}"}, "failed"),
    ],
)
def test_a_refusal_is_told_from_a_failure(answer: Any, ends: str) -> None:
    outcome = judged(json.dumps(answer).encode(), http="statusCode" in answer)

    assert outcome.failed == (ends != "answered")
    assert outcome.refused == (ends == "refused")


def test_what_is_no_json_has_failed() -> None:
    assert judged(b"<html>", http=True) == Outcome(failed=True, refused=False, text="<html>")


def test_the_body_of_an_http_answer_is_shown() -> None:
    body = base64.b64encode(b"all of it").decode()
    answer = {"statusCode": 200, "body": body, "isBase64Encoded": True}

    assert judged(json.dumps(answer).encode(), http=True).text == "all of it"
