"""A model may run an event loop of its own, through every door: none runs where it is asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers import aws_lambda, azure_functions
from handlers.http.router import Router
from handlers.scoring import predictor
from tests.handlers.invoking import event
from tests.handlers.scorers import DOORS, ask, manifest, scorer

COLUMN = {"inputs": [{"type": "double", "name": "x", "required": True}]}
BODY = b'{"inputs": {"x": [1.5, 2]}}'


class Context:
    """As much of Lambda's as a test of one call needs."""

    function_name = function_version = memory_limit_in_mb = invoked_function_arn = "x"

    def __init__(self, number: int) -> None:
        self.aws_request_id = str(number)


class Looping:
    """As an agent does it: every row is a task."""

    thread: Any = None

    def __init__(self) -> None:
        asyncio.run(asyncio.sleep(0))
        self.loaded_in = threading.current_thread()

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        async def twice(value: float) -> float:
            await asyncio.sleep(0)
            return value * 2

        async def every(values: Any) -> list[float]:
            return await asyncio.gather(*map(twice, values))

        self.thread = threading.current_thread()
        return asyncio.run(every(np.asarray(data["x"]).tolist()))


@pytest.mark.parametrize("door", DOORS)
def test_a_server_asks_outside_of_its_loop(door: Callable[..., Any]) -> None:
    reply = ask(door(scorer(Looping(), COLUMN)), "/invocations", body=BODY)

    assert reply is not None
    assert json.loads(reply.body) == {"predictions": [3.0, 4.0]}


def test_a_function_asks_where_it_is() -> None:
    model = Looping()
    headers = {"content-type": "application/json"}

    answer = Router(scorer(model, COLUMN)).answer("POST", "/invocations", headers, BODY)

    assert json.loads(answer.body) == {"predictions": [3.0, 4.0]}
    assert model.thread is threading.current_thread()


@pytest.mark.parametrize("front", ["apigateway_rest", "apigateway_http", "alb", "function_url"])
def test_lambda_asks_in_its_own_thread_without_a_loop(
    front: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, model = _function(tmp_path, monkeypatch)
    sent = {**event(front), "body": BODY.decode(), "isBase64Encoded": False}

    for _ in range(2):  # a loop that ran leaves no current one behind
        answer = function(sent, Context(1))
        assert (answer["statusCode"], json.loads(answer["body"])) == (
            200,
            {"predictions": [3.0, 4.0]},
        )
    assert model.thread is threading.main_thread()
    assert function(json.loads(BODY), Context(2)) == {"predictions": [3.0, 4.0]}


def test_a_fault_of_ours_is_answered_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, _ = _function(tmp_path, monkeypatch)
    monkeypatch.setattr(function._scorer, "invocations", _raise)

    answer = function(event("apigateway_http"), Context(1))

    assert (answer["statusCode"], answer["body"]) == (500, "Internal Server Error")


def test_azure_loads_outside_of_the_workers_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "load", lambda *_: Looping())

    async def indexed() -> Any:
        assert azure_functions.is_in_loop()
        return azure_functions.load_model(manifest(COLUMN), tmp_path)

    assert asyncio.run(indexed()).loaded_in is not threading.current_thread()
    here: Any = azure_functions.load_model(manifest(COLUMN), tmp_path)
    assert here.loaded_in is threading.current_thread()


def _raise(*_: Any) -> Any:
    raise KeyError("what was sent")


def _function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Looping]:
    model = Looping()
    monkeypatch.setattr(predictor, "load", lambda *_: model)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "tests")
    (tmp_path / "model-manifest.json").write_text(manifest(COLUMN).text(), encoding="utf-8")
    return aws_lambda.Function(tmp_path), model
