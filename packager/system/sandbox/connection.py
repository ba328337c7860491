"""HTTP to a server that runs inside: over a socket of its own network."""

from __future__ import annotations

import http.client
from typing import Final

from packager.system.sandbox.launch import Confined

_HOST: Final = "127.0.0.1"


class ConfinedConnection(http.client.HTTPConnection):
    """One connection to `port` of the confined program."""

    def __init__(self, confined: Confined, port: int, timeout_seconds: float) -> None:
        super().__init__(_HOST, port, timeout=timeout_seconds)
        self._confined = confined
        self._seconds = timeout_seconds

    def connect(self) -> None:
        """Raises OSError where nothing listens there."""
        self.sock = self._confined.connect(self.port, self._seconds)
