"""An HTTP server on this machine before a host: what a deployed function's address is to it."""

from __future__ import annotations

import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from packager.errors import ConfigurationError, EmulatorError
from packager.targets.hosts import Answered, Call, Host

_LOG = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """Raises ConfigurationError where nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise _make_listen_error(host, port, error) from error


def _make_listen_error(host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"Nothing can listen on {host}:{port}: {error.strerror or error}. "
        "Choose another --port (0 takes a free one)."
    )


class Front(ThreadingHTTPServer):
    """One request at a time reaches the function; `address` is where it listens."""

    daemon_threads = True

    def __init__(self, host: str, port: int, function: Host, largest_bytes: int) -> None:
        """Raises ConfigurationError where nothing can listen there."""
        try:
            super().__init__((host, port), _Requests)
        except OSError as error:
            raise _make_listen_error(host, port, error) from error
        self._function = function
        self._lock = threading.Lock()
        self.largest_bytes = largest_bytes
        self.address = f"http://{host}:{self.server_address[1]}"

    def ask(self, call: Call) -> Answered:
        with self._lock:
            return self._function.ask(call)


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front  # type: ignore[mutable-override]  # the only one that makes these

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_OPTIONS = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > self.server.largest_bytes:
            self.close_connection = True
            self._send(413 if length.isdecimal() else 411, b"")
        else:
            self._answer(self.rfile.read(int(length)))

    do_PUT = do_PATCH = do_POST  # noqa: N815

    def _answer(self, body: bytes) -> None:
        kind = self.headers.get("content-type")
        call = Call(body=body, content_type=kind, method=self.command, path=self.path, door="http")
        try:
            answer = self.server.ask(call)
        except EmulatorError as error:
            _LOG.error("%s", error)
            self._send(503, b"")
            return
        self._send(answer.status, answer.text.encode(), answer.content_type)

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """One line a request, of which nothing but its first line is shown."""
        _LOG.info(format, *args)
