"""A function of the frame `plain` starts like an empty one: what it imports, request by request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handlers.manifest import FILENAME, Manifest
from tests.handlers.invoking import event
from tests.handlers.loaders.test_machine_code_plain import CC, build, describe_options
from tests.handlers.modelling import fresh, with_handlers, without

pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler on this machine")

MODULES_CEILING = 38
"""Of ours that a direct invoke loads, folders among them."""
STANDARD_CEILING = 11
"""Of Python's own, beyond those that Lambda's runtime client has loaded by then."""
HTTP_CEILING = 30
"""What the first HTTP request loads beyond a direct one's: Mangum's readers and what they need.

It is one more on Python 3.13 than on 3.11."""
_RUNTIME = """
import json, sys, importlib, logging, os, time, traceback, decimal, math, numbers, threading
import contextlib, enum, functools, operator, re, string, textwrap, types, warnings, weakref
before = set(sys.modules)
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "here"
from handlers.aws_lambda import handler
print(json.dumps(sorted(set(sys.modules) - before)))
for each in json.loads(sys.argv[1]):
    print(json.dumps(handler(each, Context())))
    print(json.dumps(sorted(set(sys.modules) - before)))
"""
CALLS_CEILING = 125
"""Of Python's own functions, for one row of a direct invoke: nearly all that such a row costs."""
_WARM = """
import json, sys
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "here"
from handlers.aws_lambda import handler
sent, called = json.loads(sys.argv[1]), []
for _ in range(3):
    called.clear()
    sys.setprofile(lambda frame, what, _: called.append(frame) if what == "call" else None)
    handler(sent, Context())
    sys.setprofile(None)
print(len(called))
"""
# the slow half of what Python brings; each was half a start or more of an empty function
HEAVY = {
    *("typing", "dataclasses", "inspect", "pathlib", "asyncio", "ssl", "socket", "subprocess"),
    *("numpy", "pandas", "aws_lambda_powertools", "jmespath", "msgspec", "simdjson"),
}


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("function")
    (into / "model").mkdir()
    build(
        into / "model",
        (1, 1, 1, 0, 1, 1),
        "((double *)out)[at] = 2 * ((double *)columns[0].values)[at];",
    )
    manifest = Manifest(
        model_name="churn", mlflow_version="3.17.2", digest="0", flavor="sklearn", frame="plain",
        loader="machine_code_plain", options=describe_options("float64", file="model.so"),
        signature={"inputs": [{"name": "c0", "type": "double", "required": True}]},
        created="2026-11-20 10:11:12.5", python="3.13", request_bytes=10**6, response_bytes=10**6,
    )  # fmt: skip
    (into / FILENAME).write_text(manifest.text(), encoding="utf-8")
    return with_handlers(into)


@pytest.fixture(scope="module")
def lines(function: Path) -> list[Any]:
    """What was loaded at start; then for each request the answer, and what is loaded by then."""
    body = {"dataframe_split": {"columns": ["c0"], "data": [[1.5], [2]]}}
    sent = [body, {**event("apigateway_http"), "body": json.dumps(body), "isBase64Encoded": False}]
    out = fresh(without("numpy") + _RUNTIME, json.dumps(sent), cwd=function).splitlines()
    found = [json.loads(line) for line in out]
    return [each for each in found if {"level", "_aws"}.isdisjoint(each)]


def test_it_answers_without_numpy(lines: list[Any]) -> None:
    assert lines[1] == {"predictions": [3.0, 4.0]}
    assert json.loads(lines[3]["body"]) == {"predictions": [3.0, 4.0]}


def test_a_direct_invoke_loads_a_handful_of_modules(lines: list[Any]) -> None:
    loaded = set(lines[2])
    ours = {name for name in loaded if name.partition(".")[0] == "handlers"}

    assert HEAVY.isdisjoint(loaded)
    assert len(ours) <= MODULES_CEILING
    assert len(loaded - ours) <= STANDARD_CEILING


def test_http_loads_mangums_readers_and_no_more(lines: list[Any]) -> None:
    added = set(lines[4]) - set(lines[2])

    assert (HEAVY - {"typing", "inspect"}).isdisjoint(added)
    assert "typing_extensions" not in added
    assert "mangum.handlers.api_gateway" in added
    assert len(added) <= HTTP_CEILING


def test_a_warm_row_is_answered_by_a_few_functions(function: Path) -> None:
    sent = json.dumps({"dataframe_split": {"columns": ["c0"], "data": [[1.5]]}})
    out = fresh(without("numpy") + _WARM, sent, cwd=function)
    assert int(out.splitlines()[-1]) <= CALLS_CEILING
