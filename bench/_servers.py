"""Servers as processes, started and asked one after the other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import _load


@dataclass
class Server:
    """A command, where to ask it, and with what."""

    name: str
    argv: list[str | Path]
    port: int
    path: str
    body: bytes
    ready: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Running:
    """A context manager: the server is ready inside it, and gone after it."""

    def __init__(self, server: Server, work: Path) -> None:
        self._server = server
        self._log = work / f"{server.port}.log"

    def __enter__(self) -> Server:
        env = {"PATH": os.environ["PATH"], "HOME": str(self._log.parent), **self._server.env}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._server.argv,
                cwd=self._server.cwd,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            try:
                url = f"http://127.0.0.1:{self._server.port}{self._server.ready}"
                with urllib.request.urlopen(url, timeout=2):
                    return self._server
            except OSError:
                time.sleep(0.1)
        sys.exit(f"{self._server.name} did not start:\n{self._log.read_text()[-3000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            # workers that outlive it would run beside the next server
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def measured(server: Server, clients: int, seconds: float) -> dict[str, Any]:
    port, path, body = server.port, server.path, server.body
    probe = _load.Connection(port, path, body)
    status = await probe.ask()
    if status != 200:
        sys.exit(f"{server.name} answers {status}: {probe.body[:500]!r}")
    await _load.closed_loop(port, path, body, clients, 1.0)
    one = await _load.closed_loop(port, path, body, 1, seconds)
    many = await _load.closed_loop(port, path, body, clients, seconds)
    peak = many.answered_a_second
    twice = await _load.open_loop(port, path, body, 2 * peak, seconds)
    return {
        "one_client": one.figures(),
        f"{clients}_clients": many.figures(),
        "twice_the_peak": {**twice.figures(), "of_peak": round(twice.answered_a_second / peak, 3)},
    }
