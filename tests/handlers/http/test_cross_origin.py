"""A REST API's function: which pages may read what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from handlers.http.cross_origin import allow_origin, read_origins
from handlers.scoring.scorer import Answer
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import event, run
from tests.handlers.modelling import laid_out, with_handlers

PAGE = "https://app.example.com"
BOTH = f"https://other.example.com,{PAGE}"
ALLOWED = "access-control-allow-origin"


def _lay_out(into: Path) -> Path:
    laid_out(models.folder("onnx_columns"), into, Tier.NATIVE, Frame.NUMPY)
    return with_handlers(into)


def _sent(origin: str | None, origins: str | None, **changes: Any) -> dict[str, Any]:
    made = event("apigateway_rest")
    if origin is not None:
        made["headers"]["Origin"] = origin
        made["multiValueHeaders"]["Origin"] = [origin]
    if origins is not None:
        made["stageVariables"] = {"corsAllowOrigins": origins}
    return {**made, **changes}


@pytest.mark.parametrize(
    ("origin", "origins", "given"),
    [
        (PAGE, BOTH, PAGE),
        (PAGE, "any", "*"),
        ("", "any", "*"),
        ("https://evil.org", BOTH, None),
        ("https://app.example.com.evil.org", BOTH, None),
        ("http://app.example.com", BOTH, None),
        (BOTH, BOTH, None),
        ("any", BOTH, None),
        ("null", BOTH, None),
        ("", BOTH, None),
    ],
)
def test_an_origin_is_allowed_that_is_named(origin: str, origins: str, given: str | None) -> None:
    answer = Answer(200, "text/plain", b"", headers=(("allow", "POST"),))

    headers = dict(allow_origin(answer, origins, {"origin": origin} if origin else {}).headers)

    assert headers.get(ALLOWED) == given
    assert headers["allow"] == "POST"
    assert headers.get("vary") == (None if origins == "any" else "origin")


@pytest.mark.parametrize(
    "variables",
    [None, {}, "any", {"corsAllowOrigins": 7}, {"corsAllowOrigins": ""}, {"other": "any"}],
)
def test_a_stage_that_names_no_origins_allows_none(variables: object) -> None:
    assert read_origins({"stageVariables": variables}) == ""


def test_every_answer_of_a_function_may_be_read_by_the_page(tmp_path: Path) -> None:
    function = _lay_out(tmp_path / "function")
    sent = [
        _sent(PAGE, BOTH),
        _sent(PAGE, BOTH, body="{"),
        _sent(PAGE, BOTH, body="not base64!", isBase64Encoded=True),
        _sent(PAGE, BOTH, path="/nowhere", resource="/nowhere"),
        _sent(PAGE, BOTH, body='"' + "x" * 7_000_000 + '"'),
        _sent("https://evil.org", BOTH),
        _sent(PAGE, None),
        event("apigateway_http"),
    ]
    done = run(function, sent, tmp_path)
    found = [each["answer"] for each in done.results]

    assert [each["statusCode"] for each in found[:5]] == [200, 400, 400, 404, 413]
    headers = [_read_headers(each) for each in found]
    assert [each.get(ALLOWED) for each in headers] == [PAGE] * 5 + [None] * 3
    assert "handlers.http.cross_origin" in done.results[0]["ours"]


def test_a_function_that_no_page_calls_imports_nothing_for_it(tmp_path: Path) -> None:
    function = _lay_out(tmp_path / "function")

    done = run(function, [event("apigateway_rest"), event("apigateway_http")], tmp_path)

    assert "handlers.http.cross_origin" not in done.results[1]["ours"]


def _read_headers(answer: dict[str, Any]) -> dict[str, str]:
    many = answer.get("multiValueHeaders") or {}
    found = {name: values[0] for name, values in many.items()}
    return {name.lower(): value for name, value in {**found, **answer["headers"]}.items()}
