"""Boot an artifact under the real runtime client and emulator, and send it a request."""

from __future__ import annotations

import base64
import json
import statistics
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from handlers.manifest import Manifest
from packager import interpreters
from packager.artifact import read_manifest
from packager.emulator import Emulator, Invocation, http_event
from packager.errors import ConfigurationError

_LOG_TAIL: Final = 3000
_DEFAULT_MEMORY_MB: Final = 1024
_REFUSALS: Final = frozenset({"BadRequestError", "PayloadTooLargeError"})
"""Error types of handlers.aws_lambda that the request itself is to blame for."""


class Outcome(NamedTuple):
    """How a request ended, and the text to show for it."""

    failed: bool
    refused: bool
    """The request is at fault, and the answer says how: the log has nothing to add."""
    text: str


def invoke_artifact(
    folder: Path,
    *,
    data: str | None,
    http: bool,
    content_type: str,
    repeat: int,
    memory_mb: int | None,
) -> dict[str, Any]:
    """Send one request `repeat` times; times in milliseconds, memory in bytes.

    Raises ConfigurationError for a request that cannot be read, ModelFormatError where `folder` is
    no artifact, InterpreterNotFoundError where the artifact's Python is not on this machine.
    """
    function = folder / "function"
    manifest = read_manifest(function)
    body = _request_body(data, function, manifest)
    payload = _payload(body, http=http, content_type=content_type)
    with Emulator(
        function,
        interpreter=interpreters.find(manifest.python),
        memory_mb=memory_mb or _memory_of(folder),
    ) as running:
        answers = [running.invoke(payload) for _ in range(repeat)]
        stats, log = running.stats(), running.log()
    outcome = judge(answers[-1], http=http)
    warm = [answer.seconds * 1000 for answer in answers[1:]]
    return {
        "response": outcome.text,
        "failed": outcome.failed,
        "refused": outcome.refused,
        "init_wall_ms": stats.init_wall_ms,
        "cpu_ms": stats.cpu_ms,
        "peak_rss_bytes": stats.peak_rss_bytes,
        "first_ms": answers[0].seconds * 1000,
        "warm_ms": statistics.median(warm) if warm else None,
        "log": log[-_LOG_TAIL:],
    }


def _request_body(data: str | None, function: Path, manifest: Manifest) -> bytes:
    try:
        if data is None:
            if manifest.example is None:
                raise ConfigurationError(
                    "The model was saved without an example: give a request with --data."
                )
            return (function / manifest.example).read_bytes()
        if data == "-":
            return sys.stdin.buffer.read()
        if data.startswith("@"):
            return Path(data[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The request cannot be read: {error}.") from error
    return data.encode()


def _payload(body: bytes, *, http: bool, content_type: str) -> bytes:
    if http:
        event = http_event("POST", "/invocations", body, {"content-type": content_type})
        return json.dumps(event).encode()
    try:
        json.loads(body)
    except ValueError as error:
        raise ConfigurationError(
            f"The request is not JSON: {error}. For CSV pass --http --content-type text/csv."
        ) from error
    return body


def _memory_of(folder: Path) -> int:
    """What the template gives the function, so that an invoke here meets the same ceiling."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return int(report["memory_mb"])
    except (OSError, ValueError, KeyError, TypeError):
        return _DEFAULT_MEMORY_MB


def judge(answer: Invocation, *, http: bool) -> Outcome:
    """What the function's answer means to who sent the request."""
    text = answer.body.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return Outcome(failed=True, refused=False, text=text)
    if not isinstance(value, dict):
        return Outcome(failed=answer.status != 200, refused=False, text=text)
    if http and "statusCode" in value:
        inner = value.get("body") or ""
        if value.get("isBase64Encoded"):
            inner = base64.b64decode(inner).decode(errors="replace")
        status = int(value["statusCode"])
        return Outcome(failed=status >= 400, refused=400 <= status < 500, text=inner)
    kind = value.get("errorType")
    failed = answer.status != 200 or kind is not None
    return Outcome(failed=failed, refused=kind in _REFUSALS, text=text)
