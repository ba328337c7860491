"""A service that a model asks where its author logs it, and in a build with --allow-network."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PORT: Final = 18_099
"""Also in that model, which holds the address as its author would have written it."""
ASKED_BY: Final = "calls_a_service"
"""The model that asks it."""


class _Rates(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"rate": 1.25}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""


@contextlib.contextmanager
def run_service() -> Iterator[None]:
    """Answer with a rate while the body runs. Raises OSError where the port is taken."""
    with ThreadingHTTPServer(("127.0.0.1", PORT), _Rates) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
