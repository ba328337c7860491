"""The Lambda entry point: `handlers.aws_lambda.handler`, the model loaded before the first event.

HTTP events (API Gateway REST and HTTP, load balancers, function URLs) are known by their shape and
answered by handlers.http.router.Router, from and to what Mangum makes of them: without its event
loop, as the model may run one of its own. Events of the sources that the manifest names (queues,
streams, buses) go through handlers.events.event_processor. Any other event is a direct invoke:
MLflow's JSON in (`{"dataframe_split": ...}` and its like), `{"predictions": ...}` out. A direct
invoke that cannot be answered raises, so that Lambda counts, retries and routes it as a failed
invocation; its `errorType` is the class's name, to match on in a Step Functions Catch:

    BadRequestError        the payload is not fit to be scored
    PayloadTooLargeError   the payload or its answer is beyond the limit
    ModelFailedError       the model raised
    InternalError          a fault of ours
    RecordsFailedError     records of an event have to be delivered again

`errorMessage` holds `CODE: sentence` and nothing of the data, because Lambda writes it to the log.

Environment: PACKAGER_HTTP=1 loads the HTTP side at init too; PACKAGER_BASE_PATH is what a load
balancer or a custom domain leaves before the routes (`/models/churn`); a stage is known by itself.
Nothing random is made at init: a snapshot of it may be started many times. Under SnapStart
(AWS_LAMBDA_INITIALIZATION_TYPE=snap-start) the HTTP side is loaded before the snapshot is taken.
"""

from __future__ import annotations

import gc
import os
import time

from handlers.manifest import FILENAME, Manifest
from handlers.observability import lambda_telemetry, log_redaction
from handlers.scoring import predictor
from handlers.scoring.errors import InvalidInputError, ScoringError, TooLargeError, UnhandledError
from handlers.scoring.scorer import Answer, Scorer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from handlers.events.aws_sources import Source
    from handlers.events.event_processor import Counts, EventProcessor
    from handlers.http.router import Pairs, Router
    from handlers.manifest import Folder
    from handlers.observability.drift import Drift


class BadRequestError(Exception):
    """The payload is not fit to be scored."""


class PayloadTooLargeError(Exception):
    """The payload or its answer is beyond what the platform carries."""


class ModelFailedError(Exception):
    """The model raised while it scored."""


class InternalError(Exception):
    """A fault in the function's own code."""


class _Watched:
    """The predictor, and whether it raised on the last request."""

    def __init__(self, inner: predictor.Predictor, drift: Drift | None) -> None:
        self._inner, self._drift, self._observed = inner, drift, drift
        self.row_library = getattr(inner, "row_library", None)
        self.raised = False
        self.seconds = 0.0

    def start(self, event: object, context: object) -> None:
        """Begin an invocation; a deployment's own check is no drift."""
        self.raised, self.seconds = False, 0.0
        recorded = self._drift is not None and _is_recorded(event, context)
        self._observed = None if recorded else self._drift

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        self.raised = True
        begun = time.perf_counter()
        try:
            answer = self._inner.predict(data, params)
        finally:
            self.seconds += time.perf_counter() - begun
        self.raised = False
        if self._observed is not None:
            self._observed.observe(data, answer)
        return answer


class _Scorer(Scorer):
    """A scorer that remembers how many rows it answered last: a metric."""

    rows = 0

    def invocations(self, body: bytes, content_type: str | None) -> Answer:
        answer = super().invocations(body, content_type)
        self.rows = answer.rows
        return answer


class Function:
    """One loaded model and all that an invocation needs."""

    def __init__(self, folder: Folder) -> None:
        """`folder` holds model-manifest.json. Raises what reading or loading the model raises."""
        manifest = Manifest.read(folder)
        service = os.environ.get("POWERTOOLS_SERVICE_NAME") or manifest.model_name
        self._logger = lambda_telemetry.start_logger(service)
        self._recorder = lambda_telemetry.Recorder(manifest, service)
        self._drift = _load_drift(manifest, folder, service) if manifest.baseline else None
        self._watched = _Watched(_load_model(manifest, folder), self._drift)
        if lambda_telemetry.needs_powertools(os.environ):
            self._logger = lambda_telemetry.start_logger(service)  # the model may have imported it
        self._traced = bool(os.environ.get("AWS_XRAY_DAEMON_ADDRESS"))
        self._scorer = _Scorer(manifest, self._watched)
        self._processor = None
        if manifest.events:
            from handlers.events.event_processor import EventProcessor

            self._processor = EventProcessor.read(manifest.events, self._scorer)
        self._base_path = os.environ.get("PACKAGER_BASE_PATH", "")
        self._router: Router | None = None
        self._handle = self._logger.inject_lambda_context(
            self._measure_event, log_event=False, clear_state=True
        )
        if os.environ.get("PACKAGER_HTTP") == "1":
            import handlers.http.api_gateway_events  # noqa: F401 - now, not at the first request

            self._load_http()

    def prepare_snapshot(self) -> None:
        """Do before a snapshot is taken what each copy of it would have to do for itself."""
        self._load_http()
        if self._scorer.manifest.draws:
            from handlers.loaders import _snapshots

            _snapshots.register()

    def __call__(self, event: object, context: object) -> object:
        return self._handle(event, context)

    def _measure_event(self, event: Any, context: object) -> Any:
        begun = time.perf_counter()
        self._watched.start(event, context)
        self._scorer.rows = 0
        status, rows, counted = 500, 0, False
        payload_bytes = None
        try:
            if _is_http(event):
                body = event.get("body")
                payload_bytes = len(body) if isinstance(body, str) else 0
                response = self._answer_http(event, context)
                status = response["statusCode"]
                rows = self._scorer.rows
            elif self._processor and (source := self._processor.find_source(event)):
                response, counts = self._deliver_event(self._processor, source, event, context)
                status, rows = 200, counts.rows
                self._recorder.count(counts)
                counted, payload_bytes = True, counts.payload_bytes
            else:
                response = self._invoke_directly(event)
                status, rows = 200, _count_rows(response)
        except BadRequestError:
            status = 400
            raise
        except PayloadTooLargeError:
            status = 413
            raise
        finally:
            seconds = time.perf_counter() - begun
            latency_ms = seconds * 1000
            if self._traced:
                self._annotate_trace(seconds, status, rows)
            self._logger.info("answered", status=status, rows=rows, latency_ms=round(latency_ms, 3))
            self._recorder.record(
                latency_ms=latency_ms,
                model_ms=self._watched.seconds * 1000,
                payload_bytes=payload_bytes,
                rows=rows,
                failed=status >= 500 or (self._watched.raised and not counted),
                refused=400 <= status < 500,
            )
            if self._drift is not None:
                self._drift.end_invocation(seconds)
        return response

    def _carry_trace(self, event: dict[str, object]) -> None:
        """The caller's trace, where it named one, into the log."""
        headers = event.get("headers")
        if not isinstance(headers, dict):
            return
        # a REST API leaves the caller's case
        given = next((headers[key] for key in headers if key.lower() == "traceparent"), None)
        if given:
            from handlers.observability.trace_context import parent

            if found := parent(given):
                self._logger.append_keys(traceparent=found)

    def _annotate_trace(self, seconds: float, status: int, rows: int) -> None:
        from handlers.observability.trace_context import annotate

        ended = time.time()
        manifest = self._scorer.manifest
        annotate(
            "score",
            ended - seconds,
            ended,
            {
                "model": manifest.model_name,
                "version": manifest.model_version or "unversioned",
                "rows": rows,
                "status": status,
                "cold_start": self._recorder.cold,
            },
        )

    def _deliver_event(
        self, processor: EventProcessor, source: Source, event: object, context: object
    ) -> tuple[Any, Counts]:
        from handlers.events.event_processor import NoOutputError
        from handlers.events.records import RecordsFailedError

        try:
            return processor.answer(source, event, context)
        except (RecordsFailedError, NoOutputError):
            raise
        except ScoringError as error:
            raise self._make_refusal(error) from None
        except Exception as error:  # noqa: BLE001 - Lambda would log its text, which may quote data
            raise self._report_fault(error) from None

    def _invoke_directly(self, event: object) -> dict[str, object]:
        try:
            return self._scorer.invoke(event)
        except ScoringError as error:
            raise self._make_refusal(error) from None
        except Exception as error:  # noqa: BLE001 - Lambda would log its text, which may quote data
            raise self._report_fault(error) from None

    def _make_refusal(self, error: ScoringError) -> Exception:
        if isinstance(error, TooLargeError):
            return PayloadTooLargeError(_word_error(error))
        if self._watched.raised:
            # its text is the model's own, which may quote data
            cause = type(error.__cause__ or error).__name__
            return ModelFailedError(f"{error.error_code}: The model raised {cause}.")
        kind = BadRequestError if error.status < 500 else ModelFailedError
        return kind(_word_error(error))

    def _answer_http(self, event: Any, context: object) -> dict[str, Any]:
        from handlers.http import api_gateway_events
        from handlers.http.api_gateway_adapter import read_event

        self._logger.set_correlation_id(api_gateway_events.request_id(event))
        self._carry_trace(event)
        router = self._load_http()
        answer = None
        try:
            event = api_gateway_events.readable(event, self._base_path)
        except api_gateway_events.UnreadableBodyError:
            event = api_gateway_events.readable({**event, "body": None}, self._base_path)
            refusal = InvalidInputError("The body is marked as base64 and is not.")
            answer = self._scorer.refusal(refusal)
        try:
            read = read_event(event, context)
            answer = answer or self._route_request(router, read.scope, read.body)
            response = read(_describe_answer(answer, event, read.scope["headers"]))
            if _estimate_size(response) > self._scorer.settings.response_bytes:
                limit = self._scorer.settings.response_bytes
                too_large = TooLargeError(
                    f"The answer, as Lambda wraps it, is beyond the limit of {limit} bytes."
                    " Send fewer rows a request."
                )
                answer = self._scorer.refusal(too_large)
                response = read(_describe_answer(answer, event, read.scope["headers"]))
        except Exception as error:  # noqa: BLE001 - Lambda would log its text, which may quote data
            raise self._report_fault(error) from None
        return dict(response)

    def _route_request(self, router: Router, scope: Mapping[str, Any], body: bytes) -> Answer:
        from handlers.http.router import decode_headers

        try:
            headers = decode_headers(scope["headers"])
            return router.answer(scope["method"], scope["path"], headers, body)
        except Exception as error:  # noqa: BLE001 - a caller gets an answer, as from any server
            self._report_fault(error)
            return self._scorer.refusal(UnhandledError())

    def _report_fault(self, error: Exception) -> InternalError:
        name = type(error).__name__
        self._logger.error("%s at %s", name, log_redaction.place(error))
        return InternalError(f"INTERNAL_ERROR: {name} in the function; see the log for the place.")

    def _load_http(self) -> Router:
        if self._router is None:
            from handlers.http.api_gateway_adapter import import_readers
            from handlers.http.router import Router

            import_readers()
            self._router = Router(self._scorer)
        return self._router


def _load_model(manifest: Manifest, folder: Folder) -> predictor.Predictor:
    """Load it on the GPU of a managed instance where PACKAGER_DEVICE asks for one."""
    if "PACKAGER_DEVICE" not in os.environ:
        return predictor.load(manifest, folder)
    from handlers.container_server.accelerator import load_on_device

    return load_on_device(lambda: predictor.load(manifest, folder))


def _load_drift(manifest: Manifest, folder: Folder, service: str) -> Drift:
    from handlers.observability import of_model
    from handlers.observability.drift import Drift
    from handlers.observability.sketches import Baseline

    with open(f"{folder}/{manifest.baseline}", encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    named = of_model(manifest.model_name, manifest.model_version, service)
    return Drift(Baseline.parse(text), lambda_telemetry.write_line, named)


def _is_recorded(event: object, context: object) -> bool:
    """Tell a request that a deployment's check asks: by its header or its client context."""
    from handlers.observability.drift import is_recorded

    if is_recorded(getattr(getattr(context, "client_context", None), "custom", None)):
        return True
    if not isinstance(event, dict):
        return False
    # a load balancer may send each header with a list of values
    return is_recorded(event.get("headers")) or is_recorded(event.get("multiValueHeaders"))


def _is_http(event: object) -> bool:
    """Tell a request from another event; the first that may be one has its reader imported."""
    if not isinstance(event, dict) or "requestContext" not in event:
        return False
    from handlers.http.api_gateway_events import is_http

    return is_http(event)


def _word_error(error: ScoringError) -> str:
    return f"{error.error_code}: {error.message}"


def _describe_answer(
    answer: Answer, event: Mapping[str, object], asked: Pairs
) -> dict[str, object]:
    """As Mangum takes what an application sent."""
    from handlers.http.router import decode_headers, encode_headers

    if event.get("stageVariables"):
        from handlers.http.cross_origin import allow_origin, read_origins

        if origins := read_origins(event):
            answer = allow_origin(answer, origins, decode_headers(asked))
    return {"status": answer.status, "headers": encode_headers(answer), "body": answer.body}


def _count_rows(response: dict[str, object]) -> int:
    predictions = response.get("predictions")
    return len(predictions) if isinstance(predictions, list) else 1


def _estimate_size(response: dict[str, object]) -> int:
    """About the bytes of a response as JSON: the body is text in it, so quotes are escaped."""
    body = str(response.get("body", ""))
    return len(body) + body.count('"') + body.count("\\") + body.count("\n") + 512


def _start_function(folder: Folder) -> Function:
    """The function, made without garbage collections: a start makes much and drops little.

    Collecting meanwhile took a tenth of its CPU. What is there afterwards stays, so that later
    collections leave it out.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        return Function(folder)
    finally:
        if collected:
            gc.freeze()
            gc.enable()


_ROOT = __file__.rpartition("/")[0].rpartition("/")[0]
_FUNCTION = _start_function(_ROOT) if os.access(f"{_ROOT}/{FILENAME}", os.F_OK) else None
if _FUNCTION is not None and os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    _FUNCTION.prepare_snapshot()


def handler(event: object, context: object) -> object:
    """Answer the runtime's call, with a decoded event and Lambda's context object."""
    if _FUNCTION is None:
        msg = f"{FILENAME} is not beside handlers/. Deploy the whole folder or zip as it was built."
        raise InternalError(msg)
    return _FUNCTION(event, context)
