"""HTTP server that MLflow's webhooks are delivered to; it only wakes who asks the registry."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Final

from packager.commands.cloud.follow.webhook_signature import (
    LARGEST_BODY_BYTES,
    DeliveryCheck,
    Verdict,
)
from packager.errors import ConfigurationError, PackagerError
from packager.system.redaction import escape_controls

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS: Final = 10
"""Longest time for a whole request."""
_MOST_CONNECTIONS: Final = 32
_WARN_SECONDS: Final = 60.0
"""Between two warnings of refused deliveries: whoever reaches the port could fill the log."""
_END_SECONDS: Final = 0.1
"""Longest time until it sees that it is to end."""
_HEALTH: Final = "/healthz"


def parse_address(text: str) -> tuple[str, int]:
    """Parse HOST:PORT. Raises ConfigurationError for anything else."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigurationError(
            f"--listen {text!r} is no address: write HOST:PORT, for example 127.0.0.1:8080 or "
            "[::]:8080. Port 0 takes a free one."
        )
    return host, int(port)


class WebhookServer(ThreadingHTTPServer):
    """Takes deliveries in threads of its own; `address` is where it listens."""

    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS

    def __init__(
        self, host: str, port: int, check: DeliveryCheck, accept: Callable[[str], None]
    ) -> None:
        """`accept` is called with the sender's address for each delivery that is taken.

        Raises ConfigurationError where nothing can listen there.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Deliveries)
        except OSError as error:
            raise ConfigurationError(
                f"Nothing can listen on {host}:{port}: {error.strerror or error}. Choose another "
                "address with --listen (port 0 takes a free one)."
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self.server_address[1]}/"
        self._check = check
        self._accept = accept
        self._guard = threading.Lock()
        self._open: dict[object, None] = {}
        self._warned_at = -_WARN_SECONDS

    def judge(self, request: _Deliveries, body: bytes) -> Verdict:
        sender = str(request.client_address[0])
        try:
            verdict = self._check.check(dict(request.headers.items()), body, time.time())
        except PackagerError as error:
            # MLflow sends it again
            verdict = Verdict(503, str(error))
        if verdict.status >= 400:
            self._warn(sender, verdict)
        else:
            _LOG.debug("Delivery from %s: %s", sender, verdict.why)
        if verdict.wakes:
            self._accept(sender)
        return verdict

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket],
                        client_address: object) -> None:  # fmt: skip
        """Serve in a thread; where there are too many, the oldest one, the slowest, makes room."""
        with self._guard:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > _MOST_CONNECTIONS else None
            self._open.pop(oldest, None)
        if isinstance(oldest, socket.socket):
            with suppress(OSError):  # it ended just now
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        _LOG.debug("A connection of %s failed", client_address, exc_info=True)

    def _warn(self, sender: str, verdict: Verdict) -> None:
        now = time.monotonic()
        if now - self._warned_at >= _WARN_SECONDS:
            self._warned_at = now
            _LOG.warning("A delivery from %s was refused: %s", sender, verdict.why)


class _Timely(io.RawIOBase):
    """Reads a connection within a time in all: a byte now and then holds nobody."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer, there
        """Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"a request may take {_PATIENCE_SECONDS} seconds")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Deliveries(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "packager"
    sys_version = ""
    timeout: ClassVar[float | None] = _PATIENCE_SECONDS
    server: WebhookServer  # type: ignore[mutable-override]  # the only one that makes these

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Timely(self.connection, _PATIENCE_SECONDS))

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            self._answer(Verdict(411, "a body with a Content-Length is needed"))
        elif int(length) > LARGEST_BODY_BYTES:
            self._answer(Verdict(413, f"a delivery has at most {LARGEST_BODY_BYTES:,} bytes"))
        else:
            self._answer(self.server.judge(self, self.rfile.read(int(length))))

    def do_GET(self) -> None:
        """Answer a load balancer's question whether this is alive."""
        if self.path == _HEALTH:
            self._answer(Verdict(200, "alive"))
        else:
            self._answer(Verdict(404, f"POST a delivery of MLflow's here, or GET {_HEALTH}"))

    def _answer(self, verdict: Verdict) -> None:
        """One request a connection: MLflow sends few."""
        body = json.dumps({"message": verdict.why}).encode()
        self.send_response(verdict.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        _LOG.debug("%s", escape_controls(format % args))


@contextmanager
def listen_for_webhooks(
    address: tuple[str, int], check: DeliveryCheck, accept: Callable[[str], None]
) -> Iterator[str]:
    """Take deliveries while the block runs; yields the address that MLflow can send to.

    Raises ConfigurationError where nothing can listen there.
    """
    with WebhookServer(*address, check, accept) as server:
        serve = partial(server.serve_forever, _END_SECONDS)
        thread = threading.Thread(target=serve, name="webhooks", daemon=True)
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()
