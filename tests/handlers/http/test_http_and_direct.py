"""Every front door, asked the same: routes, sizes, and requests that are wrong."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from handlers.http.asgi import App
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings
from tests.handlers.scorers import (
    DOORS,
    Recording,
    Reply,
    ask,
    manifest,
    scorer,
)

if TYPE_CHECKING:
    Door = Callable[[Scorer], Any]
GOOD = b'{"dataframe_split": {"columns": ["x", "kind"], "data": [[1, "a"], [2.5, "b"]]}}'
JSON = "application/json"


@pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
def door(request: pytest.FixtureRequest) -> Door:
    made: Door = request.param
    return made


def answered(*args: Any, **kwargs: Any) -> Reply:
    reply = ask(*args, **kwargs)
    assert reply is not None
    return reply


def test_a_good_request_is_answered(door: Door) -> None:
    reply = answered(door(scorer()), "/invocations", body=GOOD)

    assert (reply.status, reply.body) == (200, b'{"predictions": [1.0, 2.5]}')
    assert reply.headers["content-type"] == JSON
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_health_is_a_newline(door: Door, path: str) -> None:
    reply = answered(door(scorer()), path, "GET")

    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"\n", JSON)


def test_a_slash_at_the_end_leads_to_the_route_without(door: Door) -> None:
    reply = answered(door(scorer()), "/ping/", "GET")

    assert (reply.status, reply.body) == (307, b"")
    assert reply.headers["location"].endswith("/ping")


def test_the_version_is_of_the_mlflow_that_logged_the_model(door: Door) -> None:
    reply = answered(door(scorer(mlflow_version="2.22.5")), "/version", "GET")

    assert (reply.status, reply.body) == (200, b"2.22.5")


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/invocations", 405, "Method Not Allowed"),
        ("PUT", "/invocations", 405, "Method Not Allowed"),
        ("DELETE", "/invocations", 405, "Method Not Allowed"),
        ("POST", "/ping", 405, "Method Not Allowed"),
        ("HEAD", "/ping", 405, "Method Not Allowed"),
        ("GET", "/", 404, "Not Found"),
        ("POST", "/predict", 404, "Not Found"),
        ("POST", "/invocations/1", 404, "Not Found"),
        ("POST", "/INVOCATIONS", 404, "Not Found"),
    ],
)
def test_other_routes_and_methods_are_refused(
    door: Door, method: str, path: str, status: int, detail: str
) -> None:
    reply = answered(door(scorer()), path, method)

    assert (reply.status, reply.json) == (status, {"detail": detail})


@pytest.mark.parametrize("path", ["/prod/invocations", "/invocations"])
def test_a_stage_before_the_path_is_not_part_of_it(door: Door, path: str) -> None:
    reply = answered(door(scorer()), path, body=GOOD, root_path="/prod")

    assert reply.status == 200


def body(**keys: Any) -> bytes:
    return json.dumps(keys).encode()


MALFORMED: dict[str, tuple[bytes, str | None, int]] = {
    "empty": (b"", JSON, 400),
    "cut short": (b'{"inputs": ', JSON, 400),
    "trailing text": (GOOD + b"x", JSON, 400),
    "a list": (b"[1]", JSON, 400),
    "null": (b"null", JSON, 400),
    "a number": (b"1", JSON, 400),
    "an empty object": (b"{}", JSON, 400),
    "not UTF-8": (b'{"inputs": "\xff\xfe\xfd"}', JSON, 400),
    "nested too deeply": (b"[" * 150_000, JSON, 400),
    "nested too deeply in a value": (b'{"inputs":' + b'{"x":' * 30_000, JSON, 400),
    "an integer of 5,000 digits": (b'{"inputs": {"x": [' + b"9" * 5000 + b"]}}", JSON, 400),
    "two formats": (body(inputs=[1], instances=[1]), JSON, 400),
    "an old format": (body(columns=["x"], data=[[1]]), JSON, 400),
    "records that are no list": (body(dataframe_records={"x": 1}), JSON, 400),
    "records that are no objects": (body(dataframe_records=[None]), JSON, 400),
    "a split without data": (body(dataframe_split={"columns": ["x", "kind"]}), JSON, 400),
    "a split with other keys": (body(dataframe_split={"data": [[1]], "dtype": "x"}), JSON, 400),
    "columns that are no list": (body(dataframe_split={"columns": 5, "data": [[1]]}), JSON, 400),
    "rows too short": (body(dataframe_split={"columns": ["x", "kind"], "data": [[1]]}), JSON, 400),
    "a column missing": (body(dataframe_records=[{"x": 1}]), JSON, 400),
    "text for a number": (body(dataframe_records=[{"x": "one", "kind": "a"}]), JSON, 400),
    "an object for a number": (body(dataframe_records=[{"x": {}, "kind": "a"}]), JSON, 400),
    "columns of two lengths": (body(inputs={"x": [1, 2], "kind": ["a"]}), JSON, 400),
    "ragged lists": (body(inputs=[[1], [2, 3]]), JSON, 400),
    "inputs that are null": (body(inputs=None), JSON, 400),
    "instances of two shapes": (body(instances=[{"x": 1}, 5]), JSON, 400),
    "params that are a list": (GOOD[:-1] + b', "params": [1]}', JSON, 400),
    "a param of another type": (GOOD[:-1] + b', "params": {"scale": "two"}}', JSON, 400),
    "a column given twice": (
        body(dataframe_split={"columns": ["x", "x", "kind"], "data": [[1, 2, "a"]]}),
        JSON,
        400,
    ),
    "an empty CSV": (b"", "text/csv", 400),
    "a CSV without a column": (b"x\n1\n", "text/csv", 400),
    "a CSV with an open quote": (b'x,kind\n1,"a\n', "text/csv", 400),
    "a CSV with text for a number": (b"x,kind\none,a\n", "text/csv", 400),
    "a CSV with a long row": (b"x,kind\n1,a\n1,a,b\n", "text/csv", 400),
    "a CSV that is not UTF-8": (b"x,kind\n1,\xff\n", "text/csv", 400),
    "no content type": (GOOD, None, 500),
    "plain text": (GOOD, "text/plain", 415),
    "another case": (GOOD, "Application/JSON", 415),
    "another charset": (GOOD, "application/json; charset=latin-1", 415),
    "another parameter": (GOOD, "application/json; format=pandas-split", 415),
    "a form": (b"x=1", "application/x-www-form-urlencoded", 415),
    "Parquet without pandas": (b"PAR1", "application/vnd.apache.parquet", 400),
    "too large": (body(inputs={"x": ["1" * 200_000]}), JSON, 413),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_gets_its_status(door: Door, name: str) -> None:
    sent, content_type, status = MALFORMED[name]

    reply = answered(door(scorer()), "/invocations", body=sent, content_type=content_type)

    assert reply.status == status, reply.body
    if status in {415, 500}:
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    else:
        assert reply.json.keys() == {"error_code", "message", "sqlstate", "error_class"}


def test_a_body_in_chunks_is_one_body(door: Door) -> None:
    chunks = [GOOD[i : i + 7] for i in range(0, len(GOOD), 7)]

    assert answered(door(scorer()), "/invocations", body=chunks).status == 200


def test_a_body_is_refused_as_soon_as_it_is_too_large(door: Door) -> None:
    taken = []

    def endless() -> Any:
        for i in range(1000):
            taken.append(i)
            yield b" " * 1000

    made = scorer(request_bytes=10_000)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(stream), "more_body": True}

    stream, sent = endless(), []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        "query_string": b"",
        "http_version": "1.1",
    }
    asyncio.run(door(made)(scope, receive, send))

    assert sent[0]["status"] == 413
    assert len(taken) <= 12


def test_an_answer_that_is_too_large_says_so(door: Door) -> None:
    reply = answered(door(scorer(response_bytes=20)), "/invocations", body=GOOD)

    assert reply.status == 413
    assert "fewer rows" in reply.json["message"]


def test_a_client_that_goes_away_is_no_error(door: Door) -> None:
    model = Recording()

    ask(door(scorer(model)), "/invocations", body=[])

    assert model.data is None


def test_a_failing_model_leaks_nothing(door: Door) -> None:
    class Failing:
        def predict(self, data: Any, params: Any) -> Any:
            raise RuntimeError("secret")

    reply = answered(door(scorer(Failing())), "/invocations", body=GOOD)

    assert (reply.status, reply.json["error_code"]) == (400, "BAD_REQUEST")
    assert b"secret" not in reply.body


@pytest.mark.parametrize("door", DOORS)
def test_a_slow_model_is_given_up(door: Door) -> None:
    class Slow:
        def predict(self, data: Any, params: Any) -> Any:
            time.sleep(0.3)
            return [1]

    made = manifest()
    settings = replace(Settings.read(made, {}), request_timeout_seconds=0.02)

    reply = answered(door(Scorer(made, Slow(), settings)), "/invocations", body=GOOD)

    assert (reply.status, reply.body) == (504, b"Request processing time exceeded limit")


def test_the_lean_door_starts_and_stops() -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(App(scorer())({"type": "lifespan"}, receive, send))

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


MODULES_CEILING = 44 if sys.version_info < (3, 13) else 47
"""Beyond numpy's own and what a bare interpreter has; pathlib takes more modules from 3.13 on.

Four are the folders of these, which hold no code."""


def test_the_lean_door_imports_no_framework() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules);"
        "import handlers.scoring.scorer, handlers.http.router;"
        "print(len(set(sys.modules) - before));"
        "print(sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, names = done.stdout.splitlines()

    assert {"pandas", "fastapi", "starlette", "mlflow", "pydantic", "csv"}.isdisjoint(eval(names))  # noqa: S307  our own print
    assert int(count) <= MODULES_CEILING
