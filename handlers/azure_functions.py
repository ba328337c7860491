"""The Azure Functions entry point: `app`, the model loaded while the worker indexes it.

One HTTP function takes every route and answers through handlers.asgi.App, which waits for nothing
but the model: it is run to its end in the worker's thread, without an event loop. Whatever goes
wrong in the function answers as JSON: the host's own 500 has no body that a client could read.

One log record a request, as JSON: status, rows, latency, model and version, nothing of its data; on
an instance's first and after misses of the cold store that too. Where the manifest names triggers,
their functions stand beside it (handlers.azure_events).
The libraries in lib/ are loaded first: the platform searches no folder of ours for them, but what
is loaded is found by its name.
"""

from __future__ import annotations

import ctypes
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

import azure.functions as func

from handlers import STORE, predictor, quiet
from handlers.asgi import App
from handlers.errors import INTERNAL_ERROR, ScoringError
from handlers.manifest import FILENAME, Manifest
from handlers.scoring import Answer, Scorer
from handlers.triggers import BATCHES

_LOG = logging.getLogger(__name__)


class OneAtATime:
    """A predictor for the worker, which calls functions from several threads at once."""

    def __init__(self, inner: predictor.Predictor) -> None:
        self._inner, self._lock = inner, Lock()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        with self._lock:
            return self._inner.predict(data, params)


class Function:
    """One loaded model behind its routes."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds model-manifest.json. Raises what reading or loading the model raises."""
        load_libraries(sorted((folder / "lib").glob("*.so*")))
        manifest = Manifest.read(folder)
        quiet.silence()
        self._about = {"model": manifest.model_name, "version": manifest.model_version}
        model = predictor.load(manifest, folder)
        if manifest.baseline is not None:
            from handlers.azure_drift import Observed

            model = Observed(model, manifest, folder)
        self._scorer = Scorer(manifest, OneAtATime(model))
        self._app = App(self._scorer)
        self._first = True

    def app(self) -> Any:
        """An app with the functions of the triggers that the manifest names."""
        manifest = self._scorer.manifest
        if BATCHES in manifest.events:
            import azure.durable_functions as df

            from handlers.triggers import batches

            made: Any = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
            batches.add(made, self._scorer)
        else:
            made = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
        if set(manifest.events) - {BATCHES}:
            from handlers.azure_events import Doors

            Doors(self._scorer, self.record).open(made)
        return made

    def record(self, function: str, values: dict[str, Any]) -> None:
        """One line in the log, of which no value is the request's."""
        told = {"message": "answered", "function": function, **values, **self._about}
        if self._first:
            told["cold_start"], self._first = True, False
        if STORE is not None and (misses := STORE.take_misses()):
            told["cold_store_misses"] = misses
        _LOG.info("%s", json.dumps(told))

    def __call__(self, request: func.HttpRequest) -> func.HttpResponse:
        begun = time.perf_counter()
        try:
            answer = answered(self._app, request)
        except Exception as error:  # noqa: BLE001 - the host would answer without a body
            answer = self._failed(error)
        latency_ms = round((time.perf_counter() - begun) * 1000, 3)
        values = {"status": answer.status, "rows": answer.rows, "latency_ms": latency_ms}
        self.record("http", values)
        return response(answer)

    def _failed(self, error: Exception) -> Answer:
        name = type(error).__name__
        _LOG.error("%s at %s", name, quiet.place(error))
        message = f"{name} in the function; see the log for the place."
        return self._scorer.refusal(ScoringError(message, error_code=INTERNAL_ERROR))


def response(answer: Answer) -> func.HttpResponse:
    headers = dict(answer.headers)
    if answer.content_type:
        headers["content-type"] = answer.content_type
    return func.HttpResponse(answer.body, status_code=answer.status, headers=headers)


def answered(app: App, request: func.HttpRequest) -> Answer:
    """Run the application to its end: it waits for nothing, as the body is there."""
    url = urlsplit(request.url)
    scope: dict[str, Any] = {
        "type": "http",
        "method": request.method,
        "scheme": url.scheme,
        "path": unquote(url.path),
        "query_string": url.query.encode("latin-1", "replace"),
        "headers": [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        ],
    }
    body = request.get_body()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    running = app.answer(scope, receive)
    try:
        running.send(None)
    except StopIteration as ended:
        found: Answer = ended.value
        return found
    running.close()
    msg = "the application waited for something"
    raise RuntimeError(msg)


def load_libraries(paths: Iterable[Path]) -> None:
    """Load shared libraries whatever their order: each may need others of them.

    Raises OSError where one needs what is not there.
    """
    left = list(paths)
    while left:
        failed: dict[Path, OSError] = {}
        for path in left:
            try:
                ctypes.CDLL(str(path))
            except OSError as error:
                failed[path] = error
        if len(failed) == len(left):
            raise failed[left[0]]
        left = list(failed)


_ROOT = Path(__file__).resolve().parent.parent
_FUNCTION = Function(_ROOT) if (_ROOT / FILENAME).is_file() else None
app: func.FunctionApp = (
    func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
    if _FUNCTION is None
    else _FUNCTION.app()
)


@app.function_name("http")
@app.route(route="{*path}")
def http(req: func.HttpRequest) -> func.HttpResponse:
    """Every method and route; which of them exist is handlers.asgi's to say."""
    if _FUNCTION is None:
        msg = f"{FILENAME} does not lie beside handlers/: this is no built function"
        raise RuntimeError(msg)
    return _FUNCTION(req)
