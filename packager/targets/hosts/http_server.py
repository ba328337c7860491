"""A container's host: the server itself, as its image starts it, on a free port of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager.environments import surroundings
from packager.system import process, sandbox
from packager.system.sandbox import ConfinedConnection, Confinement
from packager.system.sandbox.confined_program import ConfinedProgram
from packager.targets.hosts._ended import answer_ended
from packager.targets.hosts._host import Answered, Boot, Call
from packager.targets.lambda_emulator.parts import host_architecture

_START_SECONDS: Final = 300.0
_SPARE_SECONDS: Final = 30.0
_END_SECONDS: Final = 30.0


class ServerHost(ConfinedProgram):
    """One server process, asked over one connection after the other."""

    about = (
        "Booted as the image's entry point starts it, in the image's Python version; "
        "on the CPU, where this machine has no GPU."
    )

    def __init__(self, boot: Boot) -> None:
        super().__init__(boot.folder, purpose="server")
        self._boot = boot
        self._init_wall_ms = self._unasked_seconds = 0.0
        self._ended: Answered | None = None
        """What every request is answered once the process has ended."""

    def _boot_up(self, stack: contextlib.ExitStack) -> None:
        self._port = _free_port()
        begun = time.perf_counter()
        module = self._boot.entrypoint.rpartition(".")[0]
        self._start(
            [
                self._boot.interpreter.path,
                *self._boot.interpreter.server_options,
                *("-m", module, "serve"),
            ],
            env=self._environment(),
        )
        stack.callback(self._end)
        self._wait()
        self._unasked_seconds = time.perf_counter() - begun
        self._init_wall_ms = self._unasked_seconds * 1000

    def ask(self, call: Call) -> Answered:
        if self._ended is not None:
            return self._ended
        headers = {} if call.content_type is None else {"content-type": call.content_type}
        begun = time.perf_counter()
        try:
            status, raw = self._request(call.method, call.path, call.body, headers)
        except (OSError, http.client.HTTPException) as error:
            late = isinstance(error, TimeoutError)
            self._ended = answer_ended(self._confined, self.log, loading=False, late=late)
            return self._ended
        # the first answer's time counts from the start of the process, as under Lambda's emulator
        seconds = time.perf_counter() - begun + self._unasked_seconds
        self._unasked_seconds = 0.0
        text = raw.decode(errors="replace")
        try:
            body = json.loads(text)
        except ValueError:
            words = "a body that is not JSON"
            return Answered(status=status, text=text, body=None, words=words, seconds=seconds)
        code = str(body.get("error_code", "")) if isinstance(body, dict) else ""
        return Answered(status=status, text=text, body=body, words=code, seconds=seconds)

    def size_bytes(self, call: Call) -> int:
        return len(call.body)

    def _measure_init_ms(self) -> float:
        return self._init_wall_ms

    def _confine(self, more: Sequence[Path] = ()) -> Confinement:
        """As a host of containers confines it; a GPU is there where this machine has one."""
        inside = surroundings.confine(
            "gpu-container",
            interpreter=self._boot.interpreter,
            devices=sandbox.gpu_devices(),
            architecture=host_architecture() or "x86_64",
            memory_mb=self._boot.memory_limit_mb,
            readable=(self._folder, *more),
            network=self._boot.network,
        )
        return replace(inside, variables={"HOME": surroundings.TMP})

    def _environment(self) -> dict[str, str]:
        """The image's own, and nothing of this machine's beside numeric settings."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PORT": str(self._port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LWA_READINESS_CHECK_PATH": "/ping",
            "AWS_LWA_PASS_THROUGH_PATH": "/events",
            "PYTHONPATH": str(self._folder),
            "LD_LIBRARY_PATH": f"{self._folder}:{self._folder}/lib",
            "PACKAGER_DEVICE": "auto",
            "PACKAGER_LINGER_SECONDS": "0",
            "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(self._boot.timeout_seconds),
            **process.numeric_environment(),
            **self._boot.env,
        }

    def _wait(self) -> None:
        """Until it is ready, or has ended, which is the function's failure and not this host's."""
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._confined.poll() is not None:
                self._ended = answer_ended(self._confined, self.log, loading=True, late=False)
                return
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._request("GET", "/ping", b"", {})[0] == 200:
                    return
            time.sleep(0.02)
        self._ended = answer_ended(self._confined, self.log, loading=True, late=True)

    def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        wait = self._boot.timeout_seconds + _SPARE_SECONDS
        connection = ConfinedConnection(self._confined, self._port, wait)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _end(self) -> None:
        self._confined.interrupt(_END_SECONDS)
        super()._end()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
