"""Scorers over tiny models, and a client that needs no server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.http.asgi import App
from handlers.manifest import Manifest
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings

TWO_COLUMNS: dict[str, Any] = {
    "inputs": [
        {"type": "double", "name": "x", "required": True},
        {"type": "string", "name": "kind", "required": True},
    ],
    "outputs": [{"type": "double", "required": True}],
    "params": [{"name": "scale", "type": "double", "default": 1.0, "shape": None}],
}


class Recording:
    """Keeps what it was given; answers the first column times `scale`."""

    def __init__(self) -> None:
        self.data: Any = None
        self.params: dict[str, Any] | None = None

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        self.data, self.params = data, params
        return np.asarray(data["x"]) * (params or {}).get("scale", 1.0)


def manifest(signature: Mapping[str, Any] | None = TWO_COLUMNS, **values: Any) -> Manifest:
    defaults: dict[str, Any] = {
        "model_name": "m",
        "mlflow_version": "3.17.2",
        "digest": "0",
        "flavor": "sklearn",
        "loader": "sklearn",
        "frame": "numpy",
        "signature": signature,
        "python": "3.11",
        "request_bytes": 200_000,
        "response_bytes": 100_000,
    }
    return Manifest(**{**defaults, **values})


def scorer(
    model: Any = None, signature: Mapping[str, Any] | None = TWO_COLUMNS, **values: Any
) -> Scorer:
    made = manifest(signature, **values)
    return Scorer(made, model or Recording(), Settings.read(made, {}))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Any,
    path: str,
    method: str = "POST",
    body: bytes | Iterable[bytes] = b"",
    content_type: str | None = "application/json",
    root_path: str = "",
) -> Reply | None:
    """One request; None where the application answered nothing. `body` may come in chunks."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1}
        for i, chunk in enumerate(chunks)
    ] or [{"type": "http.disconnect"}]
    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "scheme": "http",
        "query_string": b"",
        "headers": headers,
        "server": ("test", 80),
        "client": ("test", 1),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.sleep(3600)
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    if not sent:
        return None
    answer = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
    return Reply(sent[0]["status"], answer, b"".join(m.get("body", b"") for m in sent[1:]))


def lean(made: Scorer) -> Any:
    return App(made)


def documented(made: Scorer) -> Any:
    from handlers.http.fastapi_app import create_app

    return create_app(made)


DOORS = (lean, documented)
