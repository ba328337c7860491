"""Azure Functions' host: the real worker library, in an interpreter of the target's Python."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from handlers.events import azure_triggers
from packager.environments import surroundings
from packager.errors import EmulatorError
from packager.probes.azure_trigger_messages import read_answers, trigger_message
from packager.system import process, sandbox
from packager.system.resources import WORKERS
from packager.system.sandbox import Confinement
from packager.system.sandbox.confined_program import ConfinedProgram
from packager.targets.hosts._ended import answer_ended
from packager.targets.hosts._host import Answered, Boot, Call, Delivered
from packager.targets.hosts.functions_worker_library import about, client, native

_WORKER: Final = WORKERS / "functions_worker.py"
_HOME: Final = ".python_packages/lib/site-packages"
_LENGTH: Final = struct.Struct("!I")
_START_SECONDS: Final = 180.0
_SPARE_SECONDS: Final = 30.0
_URL: Final = "https://function-app.azurewebsites.net"


class WorkerHost(ConfinedProgram):
    """One function app, indexed by the worker; each request is one invocation of a function."""

    def __init__(self, boot: Boot) -> None:
        super().__init__(boot.folder, purpose="worker")
        self._boot = boot
        self.about = about(boot.interpreter)
        self.functions: dict[str, list[dict[str, Any]]] = {}
        """Each function's bindings, as the worker indexed them."""
        self.failure: str | None = None
        """Why there are none: what Azure does not show."""
        self._trace = ""
        self._ended: Answered | None = None
        """What every request is answered once the process has ended."""
        self._init_wall_ms = 0.0
        self.index_cpu_ms = 0.0
        """Of the app's import and its indexing, the worker's own start left out."""

    def _boot_up(self, stack: contextlib.ExitStack) -> None:
        interpreter = self._boot.interpreter
        python, library = native(interpreter), client(interpreter)
        door = self._scratch / "door"
        door.mkdir()
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(door / "socket"))
        listener.listen(1)
        listener.settimeout(0.2)
        begun = time.perf_counter()
        self._start(
            [
                *(python, "-P", "-s", _WORKER, self._folder, self._folder / _HOME),
                *(library, door / "socket"),
            ],
            env=self._environment(),
            readable=(_WORKER, library, door, *self._list_weights()),
        )
        stack.callback(self._end)
        self._connection = stack.enter_context(self._accept_connection(listener))
        self._connection.settimeout(_START_SECONDS)
        self._read_index()
        self._init_wall_ms = (time.perf_counter() - begun) * 1000
        self._connection.settimeout(self._boot.timeout_seconds + _SPARE_SECONDS)

    def _read_index(self) -> None:
        try:
            indexed = self._receive()
        except EmulatorError as error:
            self._ended = self._explain(error, loading=True)
            indexed = {"failure": self._ended.failure}
        self.failure = indexed.get("failure")
        self._trace = indexed.get("trace", "")
        self.functions = indexed.get("functions", {})
        self.index_cpu_ms = indexed.get("index_cpu_ms", 0.0)

    def ask(self, call: Call) -> Answered:
        """By the function that HTTP requests reach, whatever the call's door."""
        if self._ended is not None:
            return self._ended
        if self.failure is not None:
            return Answered(status=502, text=self.failure, body=None, failure=self.failure)
        headers = {} if call.content_type is None else {"content-type": call.content_type}
        request = {
            "method": call.method,
            "url": _URL + call.path,
            "headers": headers,
            "params": {"path": call.path.lstrip("/")},
            "body": base64.b64encode(call.body).decode("ascii"),
        }
        begun = time.perf_counter()
        try:
            done = self.invoke("http", {"req": {"http": request}})
        except EmulatorError as error:
            self._ended = self._explain(error, loading=False)
            return self._ended
        seconds = time.perf_counter() - begun
        if failure := done.get("failure"):
            return Answered(status=500, text=failure, body=None, words=failure, seconds=seconds)
        http = done["returned"]["http"]
        text = base64.b64decode(http["body"]).decode(errors="replace")
        kind = http["headers"].get("content-type", "")
        return replace(_read(http["status"], text, seconds), content_type=kind)

    def invoke(
        self,
        function: str,
        inputs: dict[str, object],
        metadata: dict[str, object] | None = None,
    ) -> dict[str, Any]:
        """`returned` and `outputs`, or `failure` and `trace`: what the worker tells the platform.

        Values are typed: `{"string": ...}`, `{"json": ...}`, `{"bytes": base64}`. Raises
        EmulatorError where the worker is gone or silent.
        """
        asked = {"function": function, "inputs": inputs, "metadata": metadata or {}}
        raw = json.dumps(asked).encode()
        try:
            self._connection.sendall(_LENGTH.pack(len(raw)) + raw)
        except OSError as error:
            raise self._gone(error) from error
        return self._receive()

    def deliver(self, source: str, body: bytes) -> Delivered:
        """As one message of the trigger of that name."""
        if self.failure is not None:
            return Delivered(failure=self.failure)
        if source == azure_triggers.BATCHES:
            done = self.invoke(azure_triggers.PART, {"part": {"json": json.loads(body)}})
        else:
            done = self.invoke(source, *trigger_message(source, body))
        if failure := done.get("failure"):
            return Delivered(failure=failure)
        if source == azure_triggers.BATCHES:
            return Delivered(answers=(json.loads(done["returned"]["json"]),))
        return Delivered(answers=tuple(read_answers(done["outputs"])))

    def size_bytes(self, call: Call) -> int:
        return len(call.body)

    def kill(self) -> None:
        """As the platform ends a worker; it does not come up again."""
        self._confined.end()

    def _measure_init_ms(self) -> float:
        return self._init_wall_ms

    def log(self) -> str:
        """All that it wrote, and where indexing failed."""
        trace = self._trace if self._log.is_file() else ""
        return super().log() + trace

    def _confine(self, more: Sequence[Path] = ()) -> Confinement:
        return surroundings.confine(
            "azure-functions",
            interpreter=self._boot.interpreter,
            architecture="x86_64",
            memory_mb=self._boot.memory_limit_mb,
            readable=(self._folder, *more),
            network=self._boot.network,
        )

    def _list_weights(self) -> tuple[Path, ...]:
        """The folder that stands for a mounted share, where the app has weights outside of it."""
        return () if self._boot.weights is None else (self._boot.weights.folder.absolute(),)

    def _environment(self) -> dict[str, str]:
        """Return what the platform sets for apps to look at, and nothing of this machine's."""
        weights = self._list_weights()
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": "/home",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "FUNCTIONS_WORKER_RUNTIME_VERSION": self._boot.interpreter.minor,
            "FUNCTIONS_EXTENSION_VERSION": "~4",
            "AzureWebJobsScriptRoot": str(self._folder),
            **({} if sandbox.has_own_root() else {"PYTHONDONTWRITEBYTECODE": "1"}),
            **process.numeric_environment(),
            **({"PACKAGER_WEIGHTS": str(weights[0])} if weights else {}),
            **self._boot.env,
        }

    def _accept_connection(self, listener: socket.socket) -> socket.socket:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                return listener.accept()[0]
            if self._confined.poll() is not None:
                break
        raise EmulatorError(
            f"Azure's worker library did not start. Its log ends:\n{self._read_tail()}\n"
            "Try again; --verbose shows each step."
        )

    def _receive(self) -> dict[str, Any]:
        try:
            (size,) = _LENGTH.unpack(self._read(_LENGTH.size))
            found: dict[str, Any] = json.loads(self._read(size))
        except OSError as error:
            raise self._gone(error) from error
        return found

    def _read(self, size: int) -> bytes:
        chunks: list[bytes] = []
        while size:
            chunk = self._connection.recv(min(size, 1 << 20))
            if not chunk:
                raise self._gone(None)
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def _explain(self, error: EmulatorError, *, loading: bool) -> Answered:
        late = isinstance(error.__cause__, TimeoutError)
        return answer_ended(self._confined, self.log, loading=loading, late=late)

    def _gone(self, error: OSError | None) -> EmulatorError:
        words = "it ended" if error is None else repr(error)
        return EmulatorError(f"The worker did not answer: {words}.\n{self._read_tail()}")


def _read(status: int, text: str, seconds: float) -> Answered:
    try:
        body = json.loads(text)
    except ValueError:
        words = "a body that is not JSON"
        return Answered(status=status, text=text, body=None, words=words, seconds=seconds)
    code = str(body.get("error_code", "")) if isinstance(body, dict) else ""
    return Answered(status=status, text=text, body=body, words=code, seconds=seconds)
