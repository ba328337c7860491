"""One function's folder, running: invoked one request at a time, measured, and ended whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from packager import _proc, _process
from packager.emulator import parts
from packager.errors import EmulatorError
from packager.types import Interpreter

_ROUTE: Final = "/2015-03-31/functions/function/invocations"
_INIT: Final = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
_REQUEST_BYTES: Final = 6_291_456
"""Lambda's own ceiling; the emulator cuts a longer request short without a word."""
_ATTEMPTS: Final = 3
_LISTEN_SECONDS: Final = 20.0
_SPARE_SECONDS: Final = 30.0
"""Longer than the emulator takes to end a function that ran past its timeout."""
_END_SECONDS: Final = 5.0
_LOG_TAIL: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What came back, as the emulator's HTTP front has it.

    A function that fails answers 200 with `errorType` in the body; one that cannot be imported, or
    whose process dies, answers 502.
    """

    status: int
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStats:
    """Of the function's process as it stands; zero where it has ended."""

    init_wall_ms: float
    """The emulator's own figure for the last init."""
    cpu_ms: float
    """User plus system time since the process started."""
    peak_rss_bytes: int


class Emulator:
    """A context manager: inside it the function is up, after it nothing of it is left.

    The folder is mounted read-only where this machine allows it (`read_only` says how). Raises
    EmulatorError where the emulator does not come up, ToolError where its parts cannot be had.
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
        path_first: Sequence[Path] = (),
    ) -> None:
        """The function's Python reads the folders `path_first` before the function's own."""
        self._folder = folder.absolute()
        self._interpreter = interpreter
        self._handler = handler
        self._memory_mb = memory_mb
        self._timeout_seconds = timeout_seconds
        self._env = dict(env or {})
        self._provided = tuple(provided)
        self._path_first = tuple(path_first)
        self._one_at_a_time = threading.Lock()
        self._last_log = ""
        self._stack = contextlib.ExitStack()
        self._prefix = parts.read_only_prefix()
        self.read_only = (
            "mounted read-only in a mount namespace of its own"
            if self._prefix is not None
            else "not mounted read-only: this machine allows no mount namespace"
        )

    def __enter__(self) -> Self:
        binary = parts.emulator_binary(self._interpreter)
        client = parts.runtime_client(self._interpreter, self._provided)
        with contextlib.ExitStack() as stack:
            self._scratch = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="packager-boot-"))
            )
            self._log = self._scratch / "log"
            tmp = self._scratch / "tmp"
            tmp.mkdir()
            for attempt in range(_ATTEMPTS):
                self._start(binary, client, tmp)
                if self._listens():
                    break
                self._end()
                if attempt + 1 == _ATTEMPTS:
                    raise EmulatorError(f"The Lambda emulator did not come up.\n{self._tail()}")
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

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
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=wait)
            started = time.perf_counter()
            try:
                connection.request("POST", _ROUTE, body=payload)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise EmulatorError(
                    f"The Lambda emulator did not answer: {error!r}.\n{self._tail()}"
                ) from error
            finally:
                connection.close()
            seconds = time.perf_counter() - started
        return Invocation(status=response.status, body=body, seconds=seconds)

    def stats(self) -> ProcessStats:
        inits = _INIT.findall(self.log())
        pid = self._function_pid()
        cpu, peak = (0.0, 0) if pid is None else (_proc.cpu_ms(pid), _proc.peak_rss_bytes(pid))
        return ProcessStats(
            init_wall_ms=float(inits[-1]) if inits else 0.0, cpu_ms=cpu, peak_rss_bytes=peak
        )

    def log(self) -> str:
        """Everything that the emulator and the function wrote; still there when they have ended."""
        if not self._log.is_file():
            return self._last_log
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _start(self, binary: Path, client: Path, tmp: Path) -> None:
        self._port, runtime_port = _free_ports()
        argv: list[str | Path] = [
            *self._mounted(),
            binary,
            *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
            *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
            *("--log-level", "info"),
            *(client, "-m", "awslambdaric", self._handler),
        ]
        env = parts.environment(
            self._folder,
            tmp,
            interpreter=self._interpreter,
            memory_mb=self._memory_mb,
            timeout_seconds=self._timeout_seconds,
        )
        self._process = _process.start(
            argv, cwd=self._folder, env={**env, **self._first(), **self._env}, log=self._log
        )

    def _first(self) -> dict[str, str]:
        if not self._path_first:
            return {}
        return {"PYTHONPATH": os.pathsep.join(map(str, (*self._path_first, self._folder)))}

    def _mounted(self) -> tuple[str | Path, ...]:
        return () if self._prefix is None else (*self._prefix, self._folder)

    def _listens(self) -> bool:
        deadline = time.monotonic() + _LISTEN_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return self._process.poll() is None
            time.sleep(0.01)
        return False

    def _end(self) -> None:
        """Kill the session: the emulator gives the function a process group of its own."""
        deadline = time.monotonic() + _END_SECONDS
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        # what it was starting meanwhile is found in a later round
        while (left := list(_proc.session(self._process.pid))) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        self._last_log = self.log()

    def _function_pid(self) -> int | None:
        """The runtime client's process, which is not the emulator itself; the latest one."""
        others = [pid for pid in _proc.session(self._process.pid) if pid != self._process.pid]
        children = [pid for pid in others if _proc.stat(pid).get("parent") == self._process.pid]
        return max(children, default=None)

    def _tail(self) -> str:
        return self.log()[-_LOG_TAIL:]


def _free_ports() -> tuple[int, int]:
    """Two ports that were free a moment ago; a start that loses the race is tried again."""
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        return int(first.getsockname()[1]), int(second.getsockname()[1])
