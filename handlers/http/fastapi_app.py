"""A front door with interactive documentation, for long-lived hosts and local serving.

Routes, statuses and bytes are those of `handlers.http.asgi`; FastAPI adds /docs, /redoc and
/openapi.json. It costs more to import than many a model, so no function loads this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from handlers.http.asgi import TIMED_OUT, DisconnectedError, header, read_body
from handlers.http.openapi import operation, read_example
from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Answer, Scorer


def create_app(
    scorer: Scorer,
    folder: Path | None = None,
    *,
    ping: Callable[[], Answer] | None = None,
    invocations: Callable[[Request], Awaitable[Response]] | None = None,
) -> FastAPI:
    """`folder` is the function's folder, where the manifest's example lies.

    `ping` and `invocations` answer in place of the scorer, for a server with a queue of its own.
    """
    manifest = scorer.manifest
    app = FastAPI(
        title=manifest.model_name,
        version=manifest.model_version or "0",
        description="A model served with MLflow's scoring protocol.",
    )

    async def healthy() -> Response:
        return _response((ping or scorer.ping)())

    async def version() -> Response:
        return _response(scorer.version())

    async def score_request(request: Request) -> Response:
        try:
            work = _score(scorer, request)
            return _response(await asyncio.wait_for(work, scorer.settings.request_timeout_seconds))
        except TimeoutError:
            return _response(TIMED_OUT)

    for path, endpoint, summary in (
        ("/ping", healthy, "Is the model loaded?"),
        ("/health", healthy, "Is the model loaded?"),
        ("/version", version, "The version of the MLflow that logged the model"),
    ):
        app.get(path, summary=summary, operation_id=path[1:])(endpoint)
        if scorer.head:
            app.head(path, include_in_schema=False)(endpoint)
    # asked first, without what FastAPI does for each request; the next line's is the document's
    app.add_route(
        "/invocations", invocations or score_request, methods=["POST"], include_in_schema=False
    )
    app.post("/invocations", summary="Predict", operation_id="invocations")(score_request)
    _describe(app, operation(manifest, _example(manifest.example, folder)))
    return app


async def _score(scorer: Scorer, request: Request) -> Answer:
    try:
        body = await read_body(request.scope, request.receive, scorer.check_size)
    except ScoringError as error:
        return scorer.refusal(error)
    except DisconnectedError:
        return Answer(400, "text/plain; charset=utf-8", b"")  # to nobody
    content_type = header(request.scope, b"content-type")
    return await asyncio.to_thread(scorer.invocations, body, content_type)


def _response(answer: Answer) -> Response:
    headers = {**dict(answer.headers), "content-type": answer.content_type}
    return Response(answer.body, answer.status, headers)


def _example(example: str | None, folder: Path | None) -> Any:
    """Read the manifest's example file; None where it is not JSON or not there."""
    if example is None or folder is None:
        return None
    path = folder / example
    return read_example(path.read_text(encoding="utf-8")) if path.is_file() else None


def _describe(app: FastAPI, invocations: dict[str, Any]) -> None:
    """Replace what FastAPI can see of a route that reads raw bytes, which is nothing."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            document["paths"]["/invocations"]["post"] |= invocations
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
