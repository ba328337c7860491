"""Every host's routes over one service, as one FastAPI application.

/invocations /ping /health /version /docs /openapi.json   MLflow and SageMaker
/v2 /v2/health/* /v2/models/*                              Open Inference Protocol
/events                                                    AWS Lambda, through its web adapter
/metrics                                                   Prometheus
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response

from handlers.container_server import open_inference_protocol
from handlers.container_server.batcher import FullError, LateError
from handlers.container_server.metrics import CONTENT_TYPE
from handlers.container_server.service import Service, State
from handlers.http.asgi import TIMED_OUT, DisconnectedError, Message, read_body, run_in_thread
from handlers.http.fastapi_app import create_app
from handlers.http.timeouts import timeout
from handlers.scoring.errors import ScoringError
from handlers.scoring.request_parsing import JSON
from handlers.scoring.scorer import Answer, Checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_NAME = "mlflow-model-server"
_HEADER = "inference-header-content-length"
_GONE = Answer(499, "text/plain; charset=utf-8", b"")  # to nobody
Handle: TypeAlias = "Callable[[bytes, Request], Awaitable[Answer]]"


def service_app(service: Service, folder: Path) -> FastAPI:
    routes = _Routes(service)
    app = create_app(
        service.scorer,
        folder,
        ping=service.ping,
        invocations=routes.make_endpoint(routes.invocations),
    )
    model = "/v2/models/{model}"
    for path, get in (
        ("/v2", routes.server),
        ("/v2/health/live", routes.live),
        ("/v2/health/ready", routes.ready),
        (model, routes.model),
        (f"{model}/versions/{{version}}", routes.model),
        (f"{model}/ready", routes.model_ready),
        (f"{model}/versions/{{version}}/ready", routes.model_ready),
        ("/metrics", routes.metrics),
    ):
        app.add_route(path, get, methods=["GET"], include_in_schema=False)
    for path, handle in (
        (f"{model}/infer", routes.infer),
        (f"{model}/versions/{{version}}/infer", routes.infer),
        ("/events", routes.event),
    ):
        app.add_route(path, routes.make_endpoint(handle), methods=["POST"], include_in_schema=False)
    return app


def _withdraw_cancel(task: asyncio.Task[Answer]) -> int:
    """Take back one cancellation of the task; return how many are left, 0 before Python 3.11."""
    return task.uncancel() if sys.version_info >= (3, 11) else 0


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._held_bytes = 0
        """Of all bodies that are in memory."""

    # --- what is asked for an answer

    def make_endpoint(self, handle: Handle) -> Callable[[Request], Awaitable[Response]]:
        """`handle` with its body read, its caller watched, its time and outcome counted."""
        route = handle.__name__

        async def endpoint(request: Request) -> Response:
            begun = time.perf_counter()
            with self._service.traces.request(route, request.headers) as span:
                answer = await self._answer_watched(handle, request)
                span.done(answer.status, answer.rows)
            self._service.metrics.record_answer(route, answer.status, time.perf_counter() - begun)
            return self._make_response(answer)

        return endpoint

    async def _answer_watched(self, handle: Handle, request: Request) -> Answer:
        """The answer; where the client leaves first, its work is dropped."""
        try:
            async with self._hold_body(request) as body:
                return await self._answer_body(handle, body, request)
        except DisconnectedError:
            return _GONE
        except (ScoringError, FullError, LateError) as error:
            return self._service.refusal(error)

    @asynccontextmanager
    async def _hold_body(self, request: Request) -> AsyncIterator[bytes]:
        """Read a body, and count its bytes until it is answered.

        Raises TooLargeError, FullError, LateError and DisconnectedError.
        """
        settings, scorer = self._service.settings, self._service.scorer
        held = 0

        async def receive() -> Message:
            nonlocal held
            message = await request.receive()
            size = len(message.get("body", b""))
            held += size
            self._held_bytes += size
            if self._held_bytes > max(settings.queue_bytes, held):
                self._service.count_shed("queue_bytes")
                raise FullError("the bodies of other requests fill the memory for them", 1)
            return message

        try:
            try:
                async with timeout(scorer.settings.request_timeout_seconds):
                    body = await read_body(request.headers, receive, scorer)
            except TIMED_OUT as error:
                raise LateError from error
            yield body
        finally:
            self._held_bytes -= held

    async def _answer_body(self, handle: Handle, body: bytes, request: Request) -> Answer:
        here = asyncio.current_task()
        left = asyncio.ensure_future(_left(request))
        left.add_done_callback(lambda done: done.cancelled() or here is None or here.cancel())
        try:
            return await handle(body, request)
        except asyncio.CancelledError:
            if here is None or not left.done() or _withdraw_cancel(here):
                raise  # it is the server that ends
            return _GONE
        finally:
            left.cancel()

    async def invocations(self, body: bytes, request: Request) -> Answer:
        return await self._service.invocations(body, request.headers.get("content-type"))

    async def event(self, body: bytes, _: Request) -> Answer:
        """Answer what Lambda's web adapter passes on of an invocation that is not HTTP.

        https://github.com/awslabs/aws-lambda-web-adapter: AWS_LWA_PASS_THROUGH_PATH, `/events`.
        """
        return await self._service.invocations(body, JSON)

    async def infer(self, body: bytes, request: Request) -> Answer:
        service = self._service
        if (missing := self._refuse_unknown(request)) is not None:
            return missing
        found: list[open_inference_protocol.Infer] = []

        def read() -> Checked:
            infer = open_inference_protocol.read(
                body, request.headers.get(_HEADER), service.manifest
            )
            found.append(infer)
            return service.scorer.enforce_request(infer.request)

        def write(prediction: object) -> Answer:
            made, header = open_inference_protocol.write(prediction, found[0], service.manifest)
            if header is None:
                return Answer(200, JSON, made)
            headers = ((_HEADER, str(header)),)
            return Answer(200, "application/octet-stream", made, headers=headers)

        answer = await service.answer_request(
            lambda: service.off_loop(read, len(body)),
            lambda prediction, _: service.off_loop(lambda: write(prediction), len(body)),
        )
        return answer if answer.status < 400 else _v2_error(answer)

    # --- what is known without the model

    async def server(self, _: Request) -> Response:
        version = self._service.manifest.mlflow_version or ""
        return _make_json({"name": _NAME, "version": version, "extensions": ["binary_tensor_data"]})

    async def live(self, _: Request) -> Response:
        return _make_json({"live": True})

    async def ready(self, _: Request) -> Response:
        ready = self._service.state is State.READY
        return _make_json({"ready": ready}, 200 if ready else 503)

    async def model(self, request: Request) -> Response:
        missing = self._refuse_unknown(request)
        return (
            self._make_response(missing)
            if missing
            else _make_json(open_inference_protocol.metadata(self._service.manifest))
        )

    async def model_ready(self, request: Request) -> Response:
        if (missing := self._refuse_unknown(request)) is not None:
            return self._make_response(missing)
        ready = self._service.state is State.READY
        name = self._service.manifest.model_name
        return _make_json({"name": name, "ready": ready}, 200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        text = await run_in_thread(self._service.metrics.text)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    def _refuse_unknown(self, request: Request) -> Answer | None:
        manifest, asked = self._service.manifest, request.path_params
        version = asked.get("version", manifest.model_version)
        if asked["model"] == manifest.model_name and version == manifest.model_version:
            return None
        return Answer(404, JSON, b'{"error": "There is no such model or version here."}')

    def _make_response(self, answer: Answer) -> Response:
        headers = dict(answer.headers)
        if answer.content_type:
            headers["content-type"] = answer.content_type
        if self._service.state is State.DRAINING:
            headers["connection"] = "close"
        return Response(answer.body, answer.status, headers)


async def _left(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _v2_error(answer: Answer) -> Answer:
    """The protocol's one field, with MLflow's words in it."""
    try:
        message = json.loads(answer.body)["message"]
    except (ValueError, KeyError, TypeError):
        message = answer.body.decode(errors="replace")
    body = json.dumps({"error": message}).encode()
    return Answer(answer.status, JSON, body, headers=answer.headers)


def _make_json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value).encode(), status, {"content-type": JSON})
