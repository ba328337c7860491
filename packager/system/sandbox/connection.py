"""HTTP to a server that runs inside: over a socket of its own network."""

from __future__ import annotations

import http.client
from typing import Final

from packager.system.http_client import RequestLimits, limit_connection
from packager.system.sandbox.launch import Confined

_HOST: Final = "127.0.0.1"
_MOST_BYTES: Final = 1 << 30
"""Of an answer: the model's code may send without end."""


class ConfinedConnection(http.client.HTTPConnection):
    """One connection to `port` of the confined program, for one request."""

    def __init__(self, confined: Confined, port: int, timeout_seconds: float) -> None:
        """`timeout_seconds` is the time for the whole request, from now on."""
        super().__init__(_HOST, port, timeout=timeout_seconds)
        self._confined = confined
        self._seconds = timeout_seconds
        limits = RequestLimits(
            seconds=timeout_seconds, silence_seconds=timeout_seconds, most_bytes=_MOST_BYTES
        )
        limit_connection(self, limits)

    def connect(self) -> None:
        """Raises OSError where nothing listens there."""
        self.sock = self._confined.connect(self.port, self._seconds)
