"""One function's folder, running: invoked one request at a time, measured, and ended whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.errors import EmulatorError
from packager.system import procfs
from packager.system.resources import WORKERS
from packager.system.sandbox import ConfinedConnection, Confinement, interpreter_paths
from packager.system.sandbox.confined_program import ConfinedProgram
from packager.targets.lambda_emulator import parts
from packager.targets.processor_emulation import list_command
from packager.types import Interpreter

_ROUTE: Final = "/2015-03-31/functions/function/invocations"
_INIT: Final = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
_REQUEST_BYTES: Final = 6_291_456
"""Lambda's own ceiling; the emulator cuts a longer request short without a word."""
_ATTEMPTS: Final = 3
_LISTEN_SECONDS: Final = 20.0
_SPARE_SECONDS: Final = 30.0
"""Longer than the emulator takes to end a function that ran past its timeout."""
_DUMP_SECONDS: Final = 0.25
_OBJECT_SERVER: Final = WORKERS / "stand_in" / "object_server.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """Answer as the emulator's HTTP front has it.

    A function that fails answers 200 with `errorType` in the body; one that cannot be imported, or
    whose process dies, answers 502.
    """

    status: int
    body: bytes
    seconds: float


class Emulator(ConfinedProgram):
    """A context manager: inside it the function is up, after it nothing of it is left.

    It is confined as Lambda confines a function, as far as this machine allows (`read_only` says
    how far). `memory_mb` is what the function is told; it is killed where it takes more than
    `memory_limit_mb`, where that is given. Raises EmulatorError where the emulator does not come
    up, ToolError where its parts cannot be had.
    """

    def __init__(
        self,
        folder: Path,
        *,
        interpreter: Interpreter,
        handler: str = "handlers.aws_lambda.handler",
        memory_mb: int = 1024,
        timeout_seconds: int = 60,
        env: Mapping[str, str] | None = None,
        provided: Sequence[str] = (),
        brings_client: bool = False,
        path_first: Sequence[Path] = (),
        memory_limit_mb: int | None = None,
        network: bool = False,
        snapshot: bool = False,
        weights: Path | None = None,
        serves_weights: bool = False,
        tmp_mb: int | None = None,
    ) -> None:
        """The function's Python reads the folders `path_first` before the function's own.

        It has the folder `weights` as a mounted file system, or with `serves_weights` as objects of
        what stands for S3.

        With `snapshot` it starts as SnapStart has it: it is initialised, comes to where its
        snapshot is taken, and runs the hooks of a restore before it is asked. It stays the same
        process, as nothing here can copy one.
        """
        super().__init__(folder, purpose="boot")
        self._interpreter = interpreter
        self._handler = handler
        self._memory_mb = memory_mb
        self._timeout_seconds = timeout_seconds
        self._env = dict(env or {})
        self._provided = tuple(provided)
        self._brings_client = brings_client
        self._path_first = tuple(path_first)
        self._one_at_a_time = threading.Lock()
        self._limit_mb = memory_limit_mb
        self._network = network
        self._snapshot = snapshot
        self._weights = weights.absolute() if weights else None
        self._serves_weights = serves_weights
        self._tmp_mb = tmp_mb

    def _boot_up(self, stack: contextlib.ExitStack) -> None:
        binary = parts.emulator_binary(self._interpreter)
        client = parts.runtime_client(
            self._interpreter, self._provided, brought=self._brings_client
        )
        for _ in range(_ATTEMPTS):
            self._start_emulator(binary, client)
            # an interrupt meanwhile ends it too
            with contextlib.ExitStack() as started:
                started.callback(self._end)
                if self._listens():
                    stack.push(started.pop_all())
                    return
        raise EmulatorError(
            f"The Lambda emulator did not start. Its log ends:\n{self._read_tail()}\n"
            "Try again; if it stays so, `packager cache clear` has it fetched anew."
        )

    def invoke(self, payload: bytes) -> Invocation:
        """Send one event; a second caller waits, as the emulator does not survive two at once.

        Raises EmulatorError where the emulator itself is gone or silent.
        """
        if len(payload) > _REQUEST_BYTES:
            text = {
                "errorType": "RequestEntityTooLargeException",
                "errorMessage": f"{len(payload)} byte payload is too large for the Invoke operation"
                f" (limit {_REQUEST_BYTES} bytes)",
            }
            return Invocation(status=413, body=json.dumps(text).encode(), seconds=0.0)
        with self._one_at_a_time:
            wait = self._timeout_seconds * 2 + _SPARE_SECONDS
            aborted: list[int] = []
            # a moment before the emulator would kill it, so that it says where it was
            clock = threading.Timer(self._timeout_seconds - _DUMP_SECONDS, self._abort, [aborted])
            clock.daemon = True
            clock.start()
            connection = ConfinedConnection(self._confined, self._port, wait)
            started = time.perf_counter()
            try:
                connection.request("POST", _ROUTE, body=payload)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise EmulatorError(
                    f"The Lambda emulator did not answer: {error!r}. Its log "
                    f"ends:\n{self._read_tail()}"
                ) from error
            finally:
                clock.cancel()
                connection.close()
            seconds = time.perf_counter() - started
        if aborted:
            body = f"Task timed out after {self._timeout_seconds:.2f} seconds".encode()
            return Invocation(status=200, body=body, seconds=seconds)
        return Invocation(status=response.status, body=body, seconds=seconds)

    def _measure_init_ms(self) -> float:
        """By the emulator's own figure for the last init."""
        inits = _INIT.findall(self.log())
        return float(inits[-1]) if inits else 0.0

    def _confine(self, more: Sequence[Path] = ()) -> Confinement:
        return parts.confine(
            self._limit_mb,
            interpreter=self._interpreter,
            readable=(self._folder, *more),
            network=self._network,
            tmp_mb=self._tmp_mb,
        )

    def _start_emulator(self, binary: Path, client: Path) -> None:
        self._port, runtime_port, object_port = _find_free_ports(3)
        env = parts.environment(
            self._folder,
            interpreter=self._interpreter,
            memory_mb=self._memory_mb,
            timeout_seconds=self._timeout_seconds,
        )
        served, variables, needed = self._have_weights(client, object_port)
        self._start(
            [
                *served,
                binary,
                *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
                *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
                *("--log-level", "info"),
                *list_command(self._interpreter, client),
                *parts.list_client_arguments(
                    self._folder,
                    self._handler,
                    brought=self._brings_client,
                    snapshot=self._snapshot,
                ),
            ],
            env={**env, **self._first(), **self._env, **variables},
            readable=(binary, *interpreter_paths(client), *self._path_first, *needed),
        )

    def _have_weights(
        self, client: Path, port: int
    ) -> tuple[tuple[str | Path, ...], Mapping[str, str], tuple[Path, ...]]:
        """Return what starts before the emulator, variables, and what has to be readable."""
        if self._weights is None:
            return (), {}, ()
        if not self._serves_weights:
            return (), {"PACKAGER_WEIGHTS": str(self._weights)}, (self._weights,)
        variables = {
            "PACKAGER_WEIGHTS": "s3://weights/model",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "AKIAOFNOBODY",
            "AWS_SECRET_ACCESS_KEY": "of-nobody",
            "AWS_SESSION_TOKEN": "of-nobody",
        }
        server = (
            *list_command(self._interpreter, client),
            "-I",
            "-S",
            _OBJECT_SERVER,
            str(port),
            self._weights,
        )
        return server, variables, (self._weights, _OBJECT_SERVER)

    def _first(self) -> dict[str, str]:
        if not self._path_first:
            return {}
        return {"PYTHONPATH": os.pathsep.join(map(str, (*self._path_first, self._folder)))}

    def _listens(self) -> bool:
        deadline = time.monotonic() + _LISTEN_SECONDS
        while time.monotonic() < deadline:
            if self._confined.poll() is not None:
                return False
            with contextlib.suppress(OSError):
                self._confined.connect(self._port, 1).close()
                return self._confined.poll() is None
            time.sleep(0.01)
        return False

    def _abort(self, aborted: list[int]) -> None:
        """End the function by a signal at which Python's fault handler says where it was."""
        pid = self._find_process()
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGABRT)
                aborted.append(pid)

    def _find_process(self) -> int | None:
        """The runtime client's process, which is not the emulator itself; the latest one."""
        emulator, *_ = (*self._confined.members(), 0)
        # what stands for S3 was started first
        children = sorted(procfs.children(emulator))[int(self._serves_weights) :]
        return max(children, default=None)


def _find_free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; a start that loses the race is tried again."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in made]
