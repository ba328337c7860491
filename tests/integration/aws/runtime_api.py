"""Lambda's runtime API on the loopback interface, for AWS's runtime client with several processes.

AWS's own emulator takes several requests at once too, but only runs /var/runtime/bootstrap then,
which nobody can put there. So its API is played here:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Final

from packager.environments import interpreters
from packager.targets.lambda_emulator import parts

_SECONDS: Final = 90.0
_ROOT: Final = "/2018-06-01/runtime"


@dataclass
class Processes:
    """Processes of one environment, and what they were handed and answered."""

    concurrency: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    idle: int = 0
    waiting: list[tuple[str, bytes]] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    log: Path = Path()
    ended: bool = False

    def ask_at_once(self, events: Sequence[bytes]) -> list[bytes]:
        """Hand out all events in one moment, when there is a free process for each."""
        with self.changed:
            self._wait(lambda: self.idle >= self.concurrency)
            named = [f"request-{len(self.answers) + i}" for i in range(len(events))]
            self.waiting += zip(named, events, strict=True)
            self.changed.notify_all()
            self._wait(lambda: set(named) <= set(self.answers))
        return [self.answers[name] for name in named]

    def take(self) -> tuple[str, bytes] | None:
        """Return the next event and its name; None where nothing is asked any more."""
        with self.changed:
            self.idle += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.waiting or self.ended)
            self.idle -= 1
            return None if self.ended else self.waiting.pop(0)

    def end(self) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def answer(self, name: str, body: bytes) -> None:
        with self.changed:
            self.answers[name] = body
            self.changed.notify_all()

    def _wait(self, reached: Callable[[], bool]) -> None:
        assert self.changed.wait_for(reached, _SECONDS), self.log.read_text()[-3000:]


@contextlib.contextmanager
def run_processes(
    function: Path, minor: str, concurrency: int, work: Path, env: Mapping[str, str]
) -> Iterator[Processes]:
    """Run a function's folder under AWS's runtime client, in so many processes."""
    found = Processes(concurrency)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(found))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    interpreter = interpreters.find(minor)
    client = parts.runtime_client(interpreter, (f"botocore=={version('botocore')}",))
    found.log = work / "log"
    (work / "tmp").mkdir()
    arguments = parts.list_client_arguments(function, "handlers.aws_lambda.handler", brought=False)
    with found.log.open("wb") as log:
        process = subprocess.Popen(
            [client, *arguments],
            cwd=function,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **parts.environment(function, interpreter=interpreter, memory_mb=4096),
                "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
                "AWS_LAMBDA_MAX_CONCURRENCY": str(concurrency),
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
                "TMPDIR": str(work / "tmp"),
                **env,
            },
        )
    try:
        yield found
    finally:
        found.end()
        _end(process)
        server.shutdown()
        server.server_close()


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def _make_handler(processes: Processes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == f"{_ROOT}/invocation/next", self.path
            taken = processes.take()
            if taken is None:
                self.close_connection = True
                return
            name, event = taken
            self.send_response(200)
            for key, value in {
                "Lambda-Runtime-Aws-Request-Id": name,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:f",
                "Content-Type": "application/json",
                "Content-Length": str(len(event)),
            }.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(event)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            name = self.path.removeprefix(f"{_ROOT}/invocation/").partition("/")[0]
            processes.answer(name, body)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    return Handler
