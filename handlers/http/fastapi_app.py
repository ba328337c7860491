"""The ASGI application with interactive documentation, for long-lived hosts and local serving.

Routes, statuses and bytes are those of `handlers.http.asgi`, which answers; FastAPI adds /docs,
/redoc and /openapi.json. It costs more to import than many a model, so no function loads this
module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from handlers.http.asgi import App
from handlers.http.openapi import operation, read_example
from handlers.scoring.scorer import Answer, Scorer

_SUMMARIES = {
    "/ping": "Is the model loaded?",
    "/health": "Is the model loaded?",
    "/version": "The version of the MLflow that logged the model",
}


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
    # asked first, without what FastAPI does for each request; what follows is the documentation's
    routes: Any = App(scorer, ping=ping)
    for path in _SUMMARIES:
        app.add_route(path, routes, include_in_schema=False)
    if invocations is None:
        app.add_route("/invocations", routes, include_in_schema=False)
    else:
        app.add_route("/invocations", invocations, methods=["POST"], include_in_schema=False)
    for path, summary in _SUMMARIES.items():
        app.get(path, summary=summary, operation_id=path[1:])(_stand_for_route)
    app.post("/invocations", summary="Predict", operation_id="invocations")(_stand_for_route)
    _describe_route(app, operation(manifest, _read_example(manifest.example, folder)))
    return app


async def _stand_for_route() -> Response:
    """Stand for a route in the documentation; the route itself comes before it."""
    raise NotImplementedError


def _read_example(example: str | None, folder: Path | None) -> object:
    """Read the manifest's example file; None where it is not JSON or not there."""
    if example is None or folder is None:
        return None
    path = folder / example
    return read_example(path.read_text(encoding="utf-8")) if path.is_file() else None


def _describe_route(app: FastAPI, invocations: dict[str, object]) -> None:
    """Replace what FastAPI can see of a route that reads raw bytes, which is nothing."""

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            document["paths"]["/invocations"]["post"].update(invocations)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
