"""Boot an artifact as its target would, and send it a request."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any, Final

from handlers.manifest import Manifest
from packager import artifact, interpreters, targets
from packager.errors import ConfigurationError
from packager.hosts import HOSTS, Answered, Boot, Call
from packager.types import Door

_LOG_TAIL: Final = 3000


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
    built = artifact.read(folder)
    target = targets.load(built.target)
    home = built.folder / target.home
    manifest = artifact.read_manifest(home)
    door: Door = "http" if http or "direct" not in target.doors else "direct"
    body = _request_body(data, home, manifest)
    call = Call(body=_checked(body, door), content_type=content_type, door=door)
    boot = Boot(
        folder=built.folder,
        interpreter=interpreters.find(manifest.python),
        entrypoint=target.entrypoint,
        # as the template, so that an invoke here meets the same ceiling
        memory_mb=memory_mb or built.memory_mb,
    )
    with HOSTS[target.name](boot) as running:
        answers = [running.ask(call) for _ in range(repeat)]
        stats, log = running.stats(), running.log()
    warm = [answer.seconds * 1000 for answer in answers[1:]]
    return {
        "response": answers[-1].text,
        "failed": failed(answers[-1]),
        "refused": refused(answers[-1]),
        "init_wall_ms": stats.init_wall_ms,
        "cpu_ms": stats.cpu_ms,
        "peak_rss_bytes": stats.peak_rss_bytes,
        "first_ms": answers[0].seconds * 1000,
        "warm_ms": statistics.median(warm) if warm else None,
        "log": log[-_LOG_TAIL:],
    }


def failed(answer: Answered) -> bool:
    return answer.status >= 400


def refused(answer: Answered) -> bool:
    """Whether the request is at fault, and the answer says how: the log has nothing to add."""
    return 400 <= answer.status < 500


def _request_body(data: str | None, home: Path, manifest: Manifest) -> bytes:
    try:
        if data is None:
            if manifest.example is None:
                raise ConfigurationError(
                    "The model was saved without an example: give a request with --data."
                )
            return (home / manifest.example).read_bytes()
        if data == "-":
            return sys.stdin.buffer.read()
        if data.startswith("@"):
            return Path(data[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The request cannot be read: {error}.") from error
    return data.encode()


def _checked(body: bytes, door: Door) -> bytes:
    """As it is: a direct invoke takes nothing but JSON."""
    if door == "direct":
        try:
            json.loads(body)
        except ValueError as error:
            raise ConfigurationError(
                f"The request is not JSON: {error}. For CSV pass --http --content-type text/csv."
            ) from error
    return body
