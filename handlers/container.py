"""The container's entry point: `python -m handlers.container [serve]`, or `batch IN OUT`.

Answers at once: liveness from the start, readiness when the model is loaded and every batch size
was run. SIGTERM and SIGINT stop it in order: what was taken is answered, what comes is refused with
503, and the process ends with 0. The argument `serve` is SageMaker's
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html). `batch`
scores files instead, and ends: see handlers.container_server.job.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
import uvloop
from starlette.middleware.cors import CORSMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from handlers.container_server.accelerator import NoAcceleratorError
from handlers.container_server.app import service_app
from handlers.container_server.service import Service
from handlers.container_server.settings import ServiceSettings
from handlers.manifest import FILENAME, Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from handlers.http.asgi import Receive, Scope, Send

    App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger(__name__)
_FORMAT = '{"level":"%(levelname)s","logger":"%(name)s","message":"%(message)s"}'


_HEAD_BYTES: Final = 65_536
"""Of a request's line and headers, or of what stands around a body's chunks."""
_HEAD_SECONDS: Final = 10.0
"""For a request's line and headers, or for what is left of a body after its answer."""
_CORS_HEADERS: Final = (
    *("authorization", "content-type", "inference-header-content-length"),
    *("traceparent", "tracestate"),
)
"""That a web page may send."""
_CORS_EXPOSED: Final = ("inference-header-content-length", "retry-after", "www-authenticate")
"""That a web page may read."""
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class _Connection(HttpToolsProtocol):
    """uvicorn's, with an end to headers that are sent slowly or without one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._read_bytes = self._header_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._read_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._read_bytes > _HEAD_BYTES:
            self._disarm()
            if self._is_idle():
                self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._timer is None and self._is_idle() and not self.transport.is_closing():
            self._arm()  # bytes that begin no request

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._arm()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def _count_head(self, count: int) -> None:
        """Raises ValueError past the limit: the parser ends, and the request is never begun."""
        self._header_bytes += count
        if self._header_bytes > _HEAD_BYTES:
            raise ValueError("the request's line and headers are too large")

    def send_400_response(self, msg: str) -> None:
        if self._header_bytes <= _HEAD_BYTES:
            super().send_400_response(msg)
            return
        self._disarm()
        if self._is_idle():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self.cycle.more_body:  # what came after its body's chunks is too large
            self.transport.close()
        else:  # the request before it is answered, and ends the connection
            self.flow.pause_reading()
            self.cycle.keep_alive = False

    def on_headers_complete(self) -> None:
        self._read_bytes = 0
        self._disarm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._read_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._read_bytes = 0
        self._disarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._arm()

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _arm(self) -> None:
        self._disarm()
        self._timer = self.loop.call_later(_HEAD_SECONDS, self._end)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self._is_idle():
            self.transport.close()
        else:  # another request came before this one, and is answered first
            self._arm()


class _Server(uvicorn.Server):
    """uvicorn, which drains before it closes its sockets."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._draining = False
        self._drain: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn calls it
        """The first signal drains; a second one stops at once."""
        if self._draining:
            self.force_exit = self.should_exit = True
            return
        self._draining = True
        # a handler runs between two instructions of whatever runs: the loop must take it from there
        self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        _LOG.info("Draining: requests that were taken are answered, new ones are refused")
        self._drain = self._loop.create_task(self._drain_and_exit())

    async def _drain_and_exit(self) -> None:
        await self._service.drain()
        self.should_exit = True


def make_app(service: Service, folder: Path) -> App:
    """Return the application, which asks for a token and lets web pages call where that is set.

    Raises ValueError where the image lacks what checks a token.
    """
    app = _guard_app(service, service_app(service, folder))
    origins = service.settings.cors_origins
    if not origins:
        return app
    # outermost: a preflight brings no token, and a page may read why it was refused
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=_CORS_HEADERS,
        expose_headers=_CORS_EXPOSED,
    )


def _guard_app(service: Service, app: App) -> App:
    """Have a token asked for where that is set. Raises ValueError."""
    tokens = service.settings.tokens
    if tokens is None:
        return app
    try:
        from handlers.http.bearer_tokens import TokenGuard
    except ImportError as error:
        raise ValueError(
            f"PACKAGER_AUTH=jwt needs PyJWT, which this image lacks ({error}). Build the artifact "
            "with --auth jwt."
        ) from error
    return TokenGuard(app, tokens, service.count_refused_token)


def make_config(service: Service, folder: Path, port: int) -> uvicorn.Config:
    """Configure uvicorn for a port that strangers may reach."""
    return uvicorn.Config(
        make_app(service, folder),
        host="0.0.0.0",  # noqa: S104 - a container is asked from outside
        port=port,
        http=_Connection,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )


async def _run_server(folder: Path, settings: ServiceSettings) -> int:
    manifest = Manifest.read(folder)
    service = Service(manifest, folder, settings, load=None)
    server = _Server(make_config(service, folder, settings.port), service)
    running = asyncio.create_task(server.serve())
    starting = asyncio.create_task(service.start())
    await asyncio.wait((running, starting), return_when=asyncio.FIRST_COMPLETED)
    failed = starting.exception() if starting.done() else None
    if failed is not None:
        _LOG.error(
            "The model did not load, and the server stops: %s: %s", type(failed).__name__, failed
        )
        server.should_exit = True
    await running
    if not starting.done():
        starting.cancel()
    return 3 if failed is not None else 0


def main(argv: list[str]) -> int:
    """Serve until a signal, or score files; 2 for bad settings, 3 where model or device fail."""
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    logging.basicConfig(level=level, format=_FORMAT, stream=sys.stdout)
    batch = len(argv) == 3 and argv[0] == "batch"
    if argv not in ([], ["serve"]) and not batch:
        _LOG.error("There is no command %s. Use `serve` or `batch IN OUT`.", " ".join(argv))
        return 2
    folder = Path(__file__).resolve().parent.parent
    if not (folder / FILENAME).is_file():
        _LOG.error(
            "%s is not beside handlers/, so this is no built container. Run the image as it was "
            "built.",
            FILENAME,
        )
        return 2
    try:
        if batch:
            from handlers.container_server import job

            return job.run(folder, argv[1], argv[2])
        return uvloop.run(_run_server(folder, ServiceSettings.read()))
    except ValueError as error:
        _LOG.error("%s", error)
        return 2
    except NoAcceleratorError as error:
        _LOG.error("%s", error)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
