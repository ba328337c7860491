"""The Azure Functions entry point: `app`, a blueprint; the model is loaded while it is indexed.

One HTTP function takes every route and answers through handlers.http.router.Router, in the worker's
thread and without an event loop. Whatever goes wrong in the function answers as JSON: the host's
own 500 has no body that a client could read.

One log record a request, as JSON: status, rows, latency, the model's own, bytes, model, version and
age, nothing of its data; on an instance's first and after misses of the compressed store that too.
A build with --opentelemetry tells the same as metrics and spans
(handlers.observability.azure_telemetry). Where the manifest names triggers, their functions stand
beside it (handlers.events.azure_trigger_functions). The libraries in lib/ are loaded first: the
platform searches no folder of ours for them, but what is loaded is found by its name.
"""

from __future__ import annotations

import ctypes
import json
import logging
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import azure.functions as func

from handlers import STORE
from handlers.events.azure_triggers import BATCHES
from handlers.http.router import Router
from handlers.manifest import FILENAME, Manifest
from handlers.observability import log_redaction
from handlers.scoring import predictor
from handlers.scoring.errors import INTERNAL_ERROR, ScoringError
from handlers.scoring.scorer import Answer, Scorer

if TYPE_CHECKING:
    from handlers.observability.azure_drift import Observed
    from handlers.observability.azure_telemetry import Telemetry

_LOG = logging.getLogger(__name__)


class OneAtATime:
    """A predictor for the worker, which calls functions from several threads at once."""

    def __init__(self, inner: predictor.Predictor) -> None:
        self._inner, self._lock = inner, Lock()
        self.row_library = getattr(inner, "row_library", None)
        self._seen = local()

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        with self._lock:
            begun = time.perf_counter()
            try:
                return self._inner.predict(data, params)
            except Exception:
                self._seen.raised = True
                raise
            finally:
                spent = getattr(self._seen, "seconds", 0.0)
                self._seen.seconds = spent + time.perf_counter() - begun

    def seen(self) -> tuple[float, bool]:
        """Seconds in this thread's calls since it asked, and whether one of them raised."""
        found = getattr(self._seen, "seconds", 0.0), getattr(self._seen, "raised", False)
        self._seen.seconds, self._seen.raised = 0.0, False
        return found


class Function:
    """One loaded model behind its routes."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds model-manifest.json. Raises what reading or loading the model raises."""
        load_libraries(sorted((folder / "lib").glob("*.so*")))
        manifest = Manifest.read(folder)
        log_redaction.silence()
        self._about = {"model": manifest.model_name, "version": manifest.model_version}
        self._telemetry = _start_telemetry(manifest) if manifest.opentelemetry else None
        model = load_model(manifest, folder)
        self._observed: Observed | None = None
        if manifest.baseline is not None:
            from handlers.observability.azure_drift import Observed

            model = self._observed = Observed(model, manifest, folder, self._telemetry)
        self._model = OneAtATime(model)
        self._scorer = Scorer(manifest, self._model)
        self._router = Router(self._scorer)
        self._first = True

    def app(self) -> Any:
        """A blueprint with the functions of the triggers that the manifest names."""
        manifest = self._scorer.manifest
        if BATCHES in manifest.events:
            import azure.durable_functions as df

            from handlers.events.azure_triggers import batches

            made: Any = df.Blueprint()
            batches.add(made, self._scorer, self.record)
        else:
            made = func.Blueprint()
        if set(manifest.events) - {BATCHES}:
            from handlers.events.azure_trigger_functions import TriggerFunctions

            TriggerFunctions(self._scorer, self.record).open(made)
        return made

    def record(self, function: str, values: dict[str, Any], invocation: object = None) -> None:
        """One line in the log, of which no value is the request's; and telemetry, where asked.

        `invocation` is the worker's context.
        """
        told = {"message": "answered", "function": function, **values, **self._about}
        seconds, raised = self._model.seen()
        told["model_latency_ms"] = round(seconds * 1000, 3)
        if raised:
            told["model_raised"] = True
        age = self._scorer.manifest.age_days(time.time())
        if age is not None:
            told["model_age_days"] = round(age, 3)
        if self._first:
            told["cold_start"], self._first = True, False
        if STORE is not None and (misses := STORE.take_misses()):
            told["cold_store_misses"] = misses
        if self._telemetry is None:
            _LOG.info("%s", json.dumps(told))
            return
        with self._telemetry.record_invocation(told, invocation):
            _LOG.info("%s", json.dumps(told))

    def __call__(
        self, request: func.HttpRequest, context: func.Context | None = None
    ) -> func.HttpResponse:
        begun = time.perf_counter()
        try:
            answer = self._answer_request(request)
        except Exception as error:  # noqa: BLE001 - the host would answer without a body
            answer = self._refuse_failure(error)
        latency_ms = round((time.perf_counter() - begun) * 1000, 3)
        values = {"status": answer.status, "rows": answer.rows, "latency_ms": latency_ms}
        values["payload_bytes"] = len(request.get_body())
        self.record("http", values, context)
        return response(answer)

    def _answer_request(self, request: func.HttpRequest) -> Answer:
        if self._observed is None:
            return answer_request(self._router, request)
        with self._observed.read_mark(request.headers):
            return answer_request(self._router, request)

    def _refuse_failure(self, error: Exception) -> Answer:
        name = type(error).__name__
        _LOG.error("%s at %s", name, log_redaction.place(error))
        message = f"{name} in the function; see the log for the place."
        return self._scorer.refusal(ScoringError(message, error_code=INTERNAL_ERROR))


def _start_telemetry(manifest: Manifest) -> Telemetry | None:
    from handlers.observability.azure_telemetry import start

    named = {
        "model": manifest.model_name or "unnamed",
        "version": manifest.model_version or "unversioned",
    }
    return start(named)


def response(answer: Answer) -> func.HttpResponse:
    headers = dict(answer.headers)
    if answer.content_type:
        headers["content-type"] = answer.content_type
    return func.HttpResponse(answer.body, status_code=answer.status, headers=headers)


def answer_request(router: Router, request: func.HttpRequest) -> Answer:
    """Answer a request of the worker's, whose body is there."""
    url = urlsplit(request.url)
    headers = {name.lower(): _as_latin(value) for name, value in request.headers.items()}
    path, host = unquote(url.path), headers.get("host")
    return router.answer(
        request.method,
        path,
        headers,
        request.get_body(),
        address="" if host is None else f"{url.scheme}://{host}{path}",
        query=_as_latin(url.query),
    )


def _as_latin(text: str) -> str:
    """Text of a request's head: what no header can carry is a question mark."""
    return text.encode("latin-1", "replace").decode("latin-1")


def load_model(manifest: Manifest, folder: Path) -> predictor.Predictor:
    """The worker imports this in its event loop, and a model may run one of its own while it loads.

    Then it loads in a thread. Raises whatever it raises.
    """
    if not is_in_loop():
        return predictor.load(manifest, folder)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(predictor.load, manifest, folder).result()


def is_in_loop() -> bool:
    """Tell whether an event loop runs in this thread; imports nothing to tell."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


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
app: func.Blueprint = func.Blueprint() if _FUNCTION is None else _FUNCTION.app()


@app.function_name("http")
@app.route(route="{*path}")
def http(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Every method and route; which of them exist is handlers.http.router's to say."""
    if _FUNCTION is None:
        msg = f"{FILENAME} is not beside handlers/. Deploy the whole folder as it was built."
        raise RuntimeError(msg)
    return _FUNCTION(req, context)
