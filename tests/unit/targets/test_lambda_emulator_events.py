"""The event of each front, as its documentation has it."""

from __future__ import annotations

import base64
from typing import get_args

import pytest

from packager.targets.lambda_emulator import EventKind, http_event
from packager.types import Json

HEADERS = {"Content-Type": "application/json"}


def event(kind: EventKind, body: bytes = b"{}") -> dict[str, Json]:
    return http_event("POST", "/invocations", body, HEADERS, kind=kind)


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_every_front_carries_method_path_headers_and_body(kind: EventKind) -> None:
    made = event(kind)
    context = made["requestContext"]
    assert made["body"] == "{}"
    assert made["isBase64Encoded"] is False
    assert made["headers"]["content-type"] == "application/json"
    method = made.get("httpMethod") or context["http"]["method"]
    assert method == "POST"
    assert (made.get("path") or made["rawPath"]) == "/invocations"


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_bytes_that_are_no_text_go_as_base64(kind: EventKind) -> None:
    made = event(kind, b"\xff\x00")
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == b"\xff\x00"


def test_an_empty_body_is_null() -> None:
    assert http_event("GET", "/ping", b"", {})["body"] is None


def test_each_front_has_the_mark_that_tells_it_apart() -> None:
    assert event("http-api")["version"] == "2.0"
    assert "execute-api" in event("http-api")["requestContext"]["domainName"]
    assert "lambda-url" in event("function-url")["requestContext"]["domainName"]
    assert event("rest-api")["resource"] == "/{proxy+}"
    assert "elb" in event("alb")["requestContext"]
