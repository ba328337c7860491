"""`run-local`: the artifact under Lambda's own runtime client and emulator, with an HTTP front.

The front is what an HTTP API or a function URL is to a deployed function: each request becomes the
event that API Gateway sends, so what answers is what will be deployed, read-only, through its own
entry point. `packager serve` runs the same scoring code in a long-lived server instead, which is
another door. Beside it stands Lambda's own Invoke operation, for boto3 and `aws lambda invoke`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from packager import facts
from packager.commands.artifact import read_manifest
from packager.deployments._artifact import Built, provide_artifact
from packager.deployments._errors import DeploymentError, explain_errors, wrong_setting
from packager.deployments._settings import Settings, parse
from packager.deployments._terminal import end_by_signal, progress
from packager.deployments._traffic import refuse_moves
from packager.environments import interpreters
from packager.errors import EmulatorError
from packager.system.redaction import take_end
from packager.targets.lambda_emulator import (
    Emulator,
    choose_interpreter,
    http_event,
    why_not_provable,
)
from packager.targets.processor_emulation import EMULATION_MB, SLOWER
from packager.types import Architecture, HostKind

_LOG = logging.getLogger(__name__)
_INVOKE: Final = re.compile(r"/2015-03-31/functions/[^/]+/invocations")
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
_LARGEST_BYTES: Final = 10 << 20
_JSON: Final = "application/json"
_LOG_TAIL: Final = 3000


def run_local(
    name: str,
    model_uri: str,
    flavor: str | None = None,
    config: Mapping[str, object] | None = None,
) -> None:
    """Build the model, boot it, and answer HTTP on this machine until interrupted."""
    settings = parse(config)
    refuse_moves(settings, model_uri)
    _check_bootable_build(settings)
    with end_by_signal(), explain_errors(), contextlib.ExitStack() as stack:
        with progress():
            artifact = stack.enter_context(provide_artifact(model_uri, flavor, settings))
            emulator = stack.enter_context(boot_function(artifact, settings))
        server = stack.enter_context(_listening(settings, emulator))
        _announce_address(name, artifact, server)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        click.echo(f"{name} is ended.")


@contextlib.contextmanager
def boot_function(artifact: Built, settings: Settings) -> Iterator[Emulator]:
    """The function, its model loaded, with the memory and timeout that a deployment would have.

    Raises EmulatorError, with the log's tail, where it does not come to answer.
    """
    function = artifact.folder / "function"
    minor, named = read_manifest(function).python, settings.build.get("arm64_python")
    _check_bootable(artifact.architecture, minor, named)
    asked, measured = settings.parameters, artifact.report
    memory_mb = int(asked.get("MemorySizeMb", measured["memory_mb"]))
    interpreter = choose_interpreter(interpreters.find(minor), artifact.architecture, named)
    is_emulated = interpreter.emulated is not None
    seconds = int(asked.get("TimeoutSeconds", measured["timeout_seconds"]))
    if is_emulated:
        _LOG.info("The function is for %s and runs under QEMU: slower", artifact.architecture)
    with Emulator(
        function,
        interpreter=interpreter,
        memory_mb=memory_mb,
        memory_limit_mb=memory_mb + EMULATION_MB * is_emulated,
        timeout_seconds=seconds * (SLOWER if is_emulated else 1),
        env={"LOG_LEVEL": asked.get("LogLevel", "INFO"), "PACKAGER_HTTP": "1"},
    ) as emulator:
        _LOG.info("Booting the function under Lambda's runtime client and emulator")
        # its process starts with the first request
        if call_over_http(emulator, http_event("GET", "/ping", b"", {}))[0] != 200:
            raise EmulatorError(
                "The function does not start. Its log ends:\n"
                f"{take_end(emulator.log(), _LOG_TAIL)}\n"
                "`packager doctor` says what this machine lacks."
            )
        yield emulator


def _check_bootable_build(settings: Settings) -> None:
    """Refuse before minutes of building what no Python of the target's could be booted for."""
    architecture: Architecture | None = settings.build.get("architecture")
    if architecture is None:
        return
    if (minor := settings.build.get("python_minor")) is not None:
        _check_bootable(architecture, minor, settings.build.get("arm64_python"))
    else:
        _check_bootable(architecture, next(iter(facts.debian_suites())), None)


def _check_bootable(architecture: Architecture, minor: str, named: Path | None) -> None:
    if why := why_not_provable(architecture, HostKind.LAMBDA, minor, named):
        raise wrong_setting(f"{why} `mlflow deployments create` deploys it.")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], emulator: Emulator) -> None:
        super().__init__(address, _Front)
        self.emulator = emulator


class _Front(BaseHTTPRequestHandler):
    """Requests to events, answers to responses; a request at a time reaches the function."""

    protocol_version = "HTTP/1.1"
    server: _Server  # type: ignore[mutable-override]  # the only one that makes these

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_OPTIONS = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self.close_connection = True
            self._send(411, {"content-type": _JSON}, b'{"message": "Length Required"}')
        elif int(length) > _LARGEST_BYTES:
            self.close_connection = True
            self._send(413, {"content-type": _JSON}, b'{"message": "Request Too Long"}')
        else:
            self._answer(self.rfile.read(int(length)))

    do_PUT = do_PATCH = do_POST  # noqa: N815

    def _answer(self, body: bytes) -> None:
        try:
            parts = urlsplit(self.path)
        except ValueError:
            self._send(400, {"content-type": _JSON}, b'{"message": "Bad Request"}')
            return
        try:
            if self.command == "POST" and _INVOKE.fullmatch(parts.path):
                self._send(*invoke_function(self.server.emulator, body))
                return
            event = http_event(self.command, parts.path, body, dict(self.headers.items()))
            event["rawQueryString"] = parts.query
            self._send(*call_over_http(self.server.emulator, event))
        except EmulatorError as error:
            click.echo(f"{error}", err=True)
            self._send(503, {"content-type": _JSON}, b'{"message": "Service Unavailable"}')

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(key, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "run-local"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """One line a request, of which nothing but its first line is shown."""
        click.echo(f"{self.log_date_time_string()}  {format % args}", err=True)


def invoke_function(emulator: Emulator, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """As Lambda's Invoke answers: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html."""
    answer = emulator.invoke(body or b"{}")
    if answer.status == 413:
        return 413, {"content-type": _JSON}, answer.body
    headers = {"content-type": _JSON, "x-amz-executed-version": "$LATEST"}
    if answer.status != 200 or _has_failed(answer.body):
        headers["x-amz-function-error"] = "Unhandled"
    return 200, headers, answer.body


def call_over_http(
    emulator: Emulator, event: Mapping[str, object]
) -> tuple[int, dict[str, str], bytes]:
    """As an HTTP API answers for a function.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    answer = emulator.invoke(json.dumps(event).encode())
    if answer.status == 413:
        return 413, {"content-type": _JSON}, b'{"message": "Request Too Long"}'
    if answer.status != 200 or _has_failed(answer.body):
        click.echo(f"the function failed: {answer.body.decode(errors='replace')}", err=True)
        return 500, {"content-type": _JSON}, b'{"message": "Internal Server Error"}'
    value = json.loads(answer.body)
    body = str(value.get("body") or "")
    raw = base64.b64decode(body) if value.get("isBase64Encoded") else body.encode()
    headers = {str(key): str(text) for key, text in (value.get("headers") or {}).items()}
    return int(value["statusCode"]), headers, raw


def _has_failed(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return True
    return isinstance(value, dict) and "errorType" in value


@contextlib.contextmanager
def _listening(settings: Settings, emulator: Emulator) -> Iterator[_Server]:
    try:
        server = _Server((settings.host, settings.port), emulator)
    except OSError as error:
        raise DeploymentError(
            f"Nothing can listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Choose another with -C port=NUMBER (0 takes a free one).",
            "INVALID_PARAMETER_VALUE",
        ) from error
    with server:
        yield server


def _announce_address(name: str, artifact: Built, server: _Server) -> None:
    host, port = server.server_address[:2]
    address = f"http://{host if isinstance(host, str) else host.decode()}:{port}"
    click.echo(
        f"{name} ({artifact.flavor}) answers at {address} as it would in Lambda; Ctrl+C ends it.\n"
        f"  curl -H 'content-type: application/json' -d @request.json {address}/invocations\n"
        f"  aws lambda invoke --endpoint-url {address} --function-name {name} \\\n"
        "    --cli-binary-format raw-in-base64-out --payload file://request.json answer.json"
    )
    sys.stdout.flush()
