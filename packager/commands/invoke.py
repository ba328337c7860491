"""Boot an artifact as its target would, and send it a request."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from handlers.manifest import Manifest
from packager import targets
from packager.commands import artifact
from packager.commands.artifact.description import find_inside
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.local_boot import prepare_boot, read_sent, without_sent
from packager.errors import ConfigurationError, suggest_name
from packager.probes.aws_source_events import source_event
from packager.system.redaction import take_end
from packager.targets.hosts import HOSTS, Answered, Call, Delivers, Host
from packager.targets.lambda_emulator import why_not_provable
from packager.types import Door, Invocation, Target

_LOG_TAIL: Final = 3000


def invoke_artifact(
    folder: Path,
    *,
    data: str | None,
    http: bool,
    content_type: str,
    repeat: int,
    memory_mb: int | None,
    event: str | None = None,
    variables: Sequence[str] = (),
    allow_network: bool = False,
) -> Invocation:
    """Send one request `repeat` times; times in milliseconds, memory in bytes.

    `event` sends it as a message of that source; `variables` are `NAME=VALUE`, beside the
    template's. What is sent to a destination is recorded and told, and goes nowhere. The model
    reaches the network only with `allow_network`.

    Raises ConfigurationError for a request that cannot be read and where this machine cannot boot
    the artifact, ModelFormatError where `folder` is none, InterpreterNotFoundError where its Python
    is not on this machine.
    """
    built = artifact.read(folder)
    warn_of_changes(folder)
    target = targets.load(built.target)
    home = built.folder / target.tree.home
    manifest = artifact.read_manifest(home)
    if why := why_not_provable(built.architecture, target.program.host, manifest.python):
        raise ConfigurationError(why)
    door: Door = "http" if http or "direct" not in target.doors else "direct"
    body = _request_body(data, _example(built.home, home, manifest, door), built.home)
    call = Call(body=_check_body(body, door), content_type=content_type, door=door)
    with (
        prepare_boot(
            built,
            target,
            manifest.python,
            variables=variables,
            memory_mb=memory_mb,
            network=allow_network,
        ) as boot,
        HOSTS[target.program.host](boot) as running,
    ):
        ask = _choose_asking(running, call, event, manifest, target)
        answers = [ask() for _ in range(repeat)]
        stats, log = running.stats(), running.log()
    warm = [answer.seconds * 1000 for answer in answers[1:]]
    return {
        "response": answers[-1].text,
        "sent": read_sent(log),
        "failed": has_failed(answers[-1]),
        "refused": is_refused(answers[-1]),
        "init_wall_ms": stats.init_wall_ms,
        "cpu_ms": stats.cpu_ms,
        "peak_rss_bytes": stats.peak_rss_bytes,
        "first_ms": answers[0].seconds * 1000,
        "warm_ms": statistics.median(warm) if warm else None,
        "log": take_end(without_sent(log), _LOG_TAIL),
    }


def _choose_asking(
    host: Host, call: Call, event: str | None, manifest: Manifest, target: Target
) -> Callable[[], Answered]:
    """Return a function that asks the host once.

    Raises ConfigurationError for an event that cannot be sent.
    """
    if event is None:
        return lambda: host.ask(call)
    if event not in manifest.events:
        known = ", ".join(manifest.events) or "none"
        meant = suggest_name(event, manifest.events)
        raise ConfigurationError(f"--event {event}: this artifact was built for {known}.{meant}")
    if isinstance(host, Delivers):
        return lambda: _deliver_event(host, event, call.body)
    if "direct" not in target.doors:
        raise ConfigurationError(
            f"--event cannot be used: {target.name} takes no events. Leave it out."
        )
    whole = json.dumps(source_event(event, _decode_request(call.body, event))).encode()
    return lambda: host.ask(Call(body=whole, door="direct"))


def _decode_request(body: bytes, event: str) -> dict[str, object]:
    """Raises ConfigurationError for a request that an event cannot hold."""
    try:
        found = json.loads(body, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"--event {event}: the request is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"--event {event} needs a JSON object as the request, and --data gives none."
        )
    return found


def _deliver_event(host: Delivers, event: str, body: bytes) -> Answered:
    """Deliver an event and return what was sent as an answer.

    A message that comes again has failed.
    """
    begun = time.perf_counter()
    came = host.deliver(event, body)
    seconds = time.perf_counter() - begun
    if came.failure is not None:
        return Answered(status=500, text=came.failure, body=None, seconds=seconds)
    text = "\n".join(json.dumps(answer) for answer in came.answers)
    text = text or "Nothing was sent: the message is put aside, with the reason."
    return Answered(status=200, text=text, body=None, seconds=seconds)


def has_failed(answer: Answered) -> bool:
    return answer.status >= 400


def is_refused(answer: Answered) -> bool:
    """Tell whether the request is at fault, and the answer says how: the log adds nothing."""
    return 400 <= answer.status < 500


def _example(folder: Path, home: Path, manifest: Manifest, door: Door) -> Path | None:
    """The saved example; as Lambda takes it, which is strict JSON, where it is asked directly.

    Without one, the request that the build made of the signature.
    """
    direct = find_inside(folder, "events/direct.json")
    if door == "direct" and direct is not None:
        return direct
    if manifest.example is not None:
        return home / manifest.example
    return direct or find_inside(folder, "request.json")


def _request_body(data: str | None, example: Path | None, folder: Path) -> bytes:
    try:
        if data is None:
            if example is None:
                raise ConfigurationError(
                    "The model was saved without an example. Give a request with --data."
                )
            return example.read_bytes()
        if data == "-":
            return sys.stdin.buffer.read()
        if data.startswith("@"):
            return _find_file(Path(data[1:]), folder).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The request cannot be read: {error.strerror}: {error.filename}. Name a file after @, "
            "or give the body itself."
        ) from error
    return data.encode()


def _find_file(path: Path, folder: Path) -> Path:
    """The file from here; where there is none, the artifact's own of that name."""
    return folder / path if not path.exists() and (folder / path).is_file() else path


def _no_json(constant: str) -> None:
    raise ValueError(
        f"{constant} is not a value in JSON; write null, or add --http, which accepts {constant}"
    )


def _check_body(body: bytes, door: Door) -> bytes:
    """As it is: a direct invoke takes nothing but JSON."""
    if door == "direct":
        try:
            json.loads(body, parse_constant=_no_json)
        except ValueError as error:
            raise ConfigurationError(
                f"The request is not JSON: {error}. For CSV pass --http --content-type text/csv."
            ) from error
    return body
