"""Our scoring server, in this process, over a recording model; what asks it needs no MLflow."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.metadata
import json
import sys
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from handlers.http.asgi import App
from handlers.manifest import Manifest
from handlers.scoring.schema import np
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings

HOST = {"host": "test"}
Signature = Mapping[str, Any]


def described(value: Any) -> Any:
    """What a model was given, types and all, as JSON."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return {
            "type": "DataFrame",
            "columns": [described(name) for name in value.columns],
            "index": [described(label) for label in value.index],
            "dtypes": [str(dtype) for dtype in value.dtypes],
            "cells": [
                [described(cell) for cell in value.iloc[:, i]] for i in range(value.shape[1])
            ],
        }
    if isinstance(value, np.ndarray):
        cells = [described(cell) for cell in value.tolist()] if value.ndim else repr(value.item())
        return {"type": "ndarray", "dtype": str(value.dtype), "shape": value.shape, "cells": cells}
    if isinstance(value, dict):
        return {"type": "dict", "items": [[key, described(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return {"type": "list", "items": [described(item) for item in value]}
    return f"{type(value).__name__} {value!r}"


class Recorder:
    """A model whose answer is what it was asked."""

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return {"data": described(data), "params": described(params)}


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """`allow` and `location`, where there are any."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def to_json(self) -> list[Any]:
        return [self.status, self.content_type, self.body.decode("latin-1"), self.headers]

    @classmethod
    def from_json(cls, value: list[Any]) -> Reply:
        status, content_type, body, headers = value
        return cls(status, content_type, body.encode("latin-1"), tuple(map(tuple, headers)))


_LOCAL = threading.local()


def _open_loop() -> asyncio.Runner:
    """Return the calling thread's, kept: a loop of its own costs a request more than its answer."""
    if not hasattr(_LOCAL, "runner"):
        _LOCAL.runner = asyncio.Runner()
        atexit.register(_LOCAL.runner.close)
    runner: asyncio.Runner = _LOCAL.runner
    return runner


async def _run_alone(answering: Coroutine[Any, Any, None]) -> None:
    """Await one request's answer and end every task that it left."""
    try:
        await answering
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def ask(
    app: Any, path: str, *, method: str = "POST", body: bytes = b"", headers: Mapping[str, str]
) -> Reply:
    """One request to an ASGI application, without a server."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path.partition("?")[0],
        "raw_path": path.partition("?")[0].encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": path.partition("?")[2].encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in {**HOST, **headers}.items()],
        "server": ("test", 80),
        "client": ("test", 1),
    }
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.sleep(3600)
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    # an application that fails sends a plain 500 first and then raises, for the server to log
    with contextlib.suppress(AttributeError, RecursionError, TypeError, ValueError):
        _open_loop().run(_run_alone(app(scope, receive, send)))
    answer_headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    told = {key: answer_headers[key] for key in ("allow", "location") if key in answer_headers}
    if "allow" in told:  # a set's order
        told["allow"] = ", ".join(sorted(told["allow"].split(", ")))
    content_type = answer_headers.get("content-type", "")
    return Reply(sent[0]["status"], content_type, content, tuple(told.items()))


class _Adapter:
    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        return self._model.predict(data, params=params)


@cache
def _installed_mlflow() -> str:
    """Read once: its metadata takes longer to parse than a request to answer."""
    return importlib.metadata.version("mlflow")


def ours(
    signature: Signature | None,
    model: Any = None,
    *,
    frame: str = "pandas",
    type_hints: bool = False,
    mlflow_version: str | None = None,
    **settings: Any,
) -> Scorer:
    manifest = Manifest(
        model_name="m",
        mlflow_version=mlflow_version or _installed_mlflow(),
        digest="0",
        flavor="recorder",
        loader="none",
        frame=frame,
        signature=dict(signature) if signature else None,
        signature_from_type_hints=type_hints,
        python="3.11",
        request_bytes=6_000_000,
        response_bytes=6_000_000,
    )
    limits = {"request_bytes": 6_000_000, "response_bytes": 6_000_000}
    return Scorer(manifest, _Adapter(model or Recorder()), Settings(**{**limits, **settings}))


def ours_app(
    signature: Signature | None,
    *,
    frame: str = "pandas",
    type_hints: bool = False,
    mlflow_version: str,
) -> App:
    return _ours_app(json.dumps(signature), frame, type_hints, mlflow_version)


@cache
def _ours_app(signature_json: str, frame: str, type_hints: bool, mlflow_version: str) -> App:  # noqa: FBT001  a cache key
    signature = json.loads(signature_json)
    made = ours(signature, frame=frame, type_hints=type_hints, mlflow_version=mlflow_version)
    return App(made)
