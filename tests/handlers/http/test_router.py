"""The routes answer without a server: a method, a path, headers and a body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import handlers
from handlers.http.router import ROUTES, Router, decode_headers, encode_headers
from handlers.scoring.scorer import Answer
from tests.handlers.scorers import scorer

BODY = b'{"dataframe_records": [{"x": 1.5, "kind": "a"}]}'
HEADERS = {"content-type": "application/json"}


def ask(method: str, path: str, body: bytes = b"", **known: Any) -> Answer:
    return Router(scorer()).answer(method, path, HEADERS, body, **known)


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("GET", "/ping", 200, {}),
        ("GET", "/health", 200, {}),
        ("GET", "/version", 200, {}),
        ("POST", "/invocations", 200, {}),
        ("POST", "/ping", 405, {"allow": "GET"}),
        ("GET", "/invocations", 405, {"allow": "POST"}),
        ("DELETE", "/version", 405, {"allow": "GET"}),
        ("GET", "/", 404, {}),
        ("GET", "", 404, {}),
        ("GET", "/PING", 404, {}),
        ("GET", "/ping/more", 404, {}),
        ("GET", "//ping", 404, {}),
        ("GET", "/ping/", 307, {"location": "../ping"}),
        ("POST", "/invocations//", 307, {"location": "../../invocations"}),
    ],
)
def test_a_route_is_found_by_method_and_path(
    method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    answer = ask(method, path, BODY)

    assert (answer.status, dict(answer.headers)) == (status, headers)


@pytest.mark.parametrize(
    ("known", "location"),
    [
        ({"address": "https://a.example/prod/ping/"}, "https://a.example/prod/ping"),
        ({"address": "http://a.example/ping//", "query": "x=1?2"}, "http://a.example/ping?x=1?2"),
        ({"query": "x=1"}, "../ping?x=1"),
    ],
)
def test_a_redirect_keeps_what_is_known_of_the_url(known: dict[str, str], location: str) -> None:
    path = "/ping//" if "//" in known.get("address", "")[8:] else "/ping/"

    assert dict(ask("GET", path, b"", **known).headers) == {"location": location}


@pytest.mark.parametrize("length", ["999999999", "9" * 5000])
def test_a_body_that_is_said_to_be_too_long_is_refused_unread(length: str) -> None:
    headers = {**HEADERS, "content-length": length}

    answer = Router(scorer()).answer("POST", "/invocations", headers, BODY)

    assert "the limit is" in json.loads(answer.body)["message"]


@pytest.mark.parametrize("length", ["", "-1", "many", "1"])
def test_a_length_that_tells_nothing_is_passed_over(length: str) -> None:
    headers = {**HEADERS, "content-length": length}

    assert Router(scorer()).answer("POST", "/invocations", headers, BODY).status == 200


def test_a_server_with_a_queue_says_itself_how_it_is() -> None:
    router = Router(scorer(), ping=lambda: Answer(503, "text/plain", b""))

    assert [router.answer("GET", path, {}, b"").status for path in ("/ping", "/health")] == [
        503
    ] * 2
    assert router.answer("GET", "/version", {}, b"").status == 200


def test_of_headers_of_one_name_the_first_counts() -> None:
    pairs = [
        (b"Content-Type", b"text/csv"),
        (b"content-type", b"application/json"),
        (b"x", b"\xe9"),
    ]

    assert decode_headers(pairs) == {"content-type": "text/csv", "x": "é"}
    assert encode_headers(Answer(307, "", b"", headers=(("location", "/é"),))) == [
        (b"content-length", b"0"),
        (b"location", b"/\xe9"),
    ]


def test_one_file_lists_the_routes() -> None:
    root = Path(handlers.__file__).parent
    listing = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if all(f'"{route}": "' in path.read_text(encoding="utf-8") for route in ROUTES)
    }

    assert listing == {"http/router.py"}
