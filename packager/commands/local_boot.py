"""An artifact's function on this machine, in the environment that its deployment would have."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast

from handlers.manifest import Manifest
from packager.commands import artifact
from packager.commands.artifact import template_environment
from packager.commands.artifact.description import WEIGHTS, find_inside
from packager.environments import interpreters
from packager.errors import ConfigurationError, ModelFormatError
from packager.system.resources import WORKERS
from packager.system.scratch import make_scratch
from packager.targets.hosts import Boot, LocalWeights
from packager.targets.lambda_emulator import choose_interpreter
from packager.targets.processor_emulation import EMULATION_MB, SLOWER
from packager.types import HostKind, Sent, Target
from packager.workers.stand_in.recorded_clients import MARK

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS: Final = 60
_STAND_IN: Final = WORKERS / "stand_in"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@contextmanager
def prepare_boot(
    built: artifact.Built,
    target: Target,
    minor: str,
    *,
    variables: Sequence[str] = (),
    memory_mb: int | None = None,
    network: bool = False,
) -> Iterator[Boot]:
    """Prepare the artifact's boot under Python `minor`, for as long as the block runs.

    Its variables are the template's, then `variables`, each `NAME=VALUE`. AWS's services are
    recorded, and none is reached: `read_sent` reads out of the log what was sent. Nothing else is
    reached either, unless `network` says so. Raises
    ConfigurationError for what is no variable, ModelFormatError where the template cannot be read,
    InterpreterNotFoundError where that Python is not on this machine, ToolError where one for the
    artifact's processor cannot be had.
    """
    given = parse_variables(variables)
    told = template_environment.read_environment(built.home, target.program.host)
    interpreter = choose_interpreter(interpreters.find(minor), built.architecture)
    memory_mb, slower = memory_mb or built.memory_mb, 1
    limit_mb = memory_mb
    if interpreter.emulated is not None:
        slower, limit_mb = SLOWER, memory_mb + EMULATION_MB
        _LOG.info(
            "The function is for %s and runs under %s: its times and memory here are not those of "
            "a deployed one",
            built.architecture,
            interpreter.emulated.version,
        )
    weights, tmp_mb = _find_weights(built, target)
    _LOG.info("Starting the function under Python %s, as %s does", minor, target.name)
    with make_scratch("stand-in") as folder:
        recorded: Mapping[str, str] = {}
        if target.program.host is HostKind.LAMBDA:
            _fill_stand_in(folder, find_inside(built.home, "events/direct.json"))
            package = target.program.entrypoint.partition(".")[0]
            recorded = {"PACKAGER_STAND_IN": f"{package}.aws_clients"}
        yield Boot(
            folder=built.folder,
            interpreter=interpreter,
            entrypoint=target.program.entrypoint,
            # as the template, so that a call here meets the same ceiling
            memory_mb=memory_mb,
            memory_limit_mb=limit_mb,
            network=network,
            timeout_seconds=_TIMEOUT_SECONDS * slower,
            brings_client=any(
                each.brings_client for each in target.runtimes if each.python_minor == minor
            ),
            weights=weights,
            tmp_mb=tmp_mb,
            env={**told, **recorded, **given},
            path_first=(folder,) if recorded else (),
        )


def _find_weights(built: artifact.Built, target: Target) -> tuple[LocalWeights | None, int | None]:
    """The artifact's own weights/, where its function has weights outside; and the size of /tmp."""
    if target.weights is None:
        return None, None
    manifest = artifact.read_manifest(built.folder / target.tree.home)
    folder = find_weights(built, manifest)
    if folder is None:
        return None, None
    fetched = manifest.weights_from != "mount"
    told = template_environment.read_default(built.home, "EphemeralStorageMb") if fetched else ""
    return LocalWeights(folder=folder, fetched=fetched), int(told) if told else None


def find_weights(built: artifact.Built, manifest: Manifest) -> Path | None:
    """Find the artifact's own weights/; None where its function has no weights outside.

    The model's code may read all that lies there. Raises ModelFormatError where there is none, and
    for a link: it could lead to any folder of yours.
    """
    if not manifest.weights:
        return None
    folder = built.home / WEIGHTS
    if folder.is_symlink() or not folder.is_dir():
        raise ModelFormatError(
            f"{built.home} has no folder {WEIGHTS} of its own (a link is none), and its function "
            "has weights outside of it. Build it again, or copy the whole folder of the artifact."
        )
    return folder


def read_sent(log: str) -> list[Sent]:
    """Read what a function sent to its destinations, in order: `to`, `body`, `attributes`.

    A line that the model wrote itself, and that only begins like one of these, is left out.
    """
    sent: list[Sent] = []
    for line in log.splitlines():
        with suppress(ValueError, RecursionError):
            told = json.loads(line.removeprefix(MARK)) if line.startswith(MARK) else None
            if isinstance(told, dict) and {"to", "body"} <= told.keys():
                sent.append(cast("Sent", told))
    return sent


def without_sent(log: str) -> str:
    return "".join(line for line in log.splitlines(keepends=True) if not line.startswith(MARK))


def _fill_stand_in(folder: Path, request: Path | None) -> None:
    """The stand-in, and the object that it has: the example request."""
    folder.chmod(0o755)  # the function has another user
    for path in _STAND_IN.glob("*.py"):
        shutil.copyfile(path, folder / path.name)
    if request is not None:
        shutil.copyfile(request, folder / "object.json")


def parse_variables(texts: Sequence[str]) -> dict[str, str]:
    """Parse variables, each `NAME=VALUE`. Raises ConfigurationError for what is none."""
    return dict(map(_split_variable, texts))


def _split_variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name) or "\0" in value:
        raise ConfigurationError(
            f"--env {text!r} is not NAME=VALUE. Write it as --env LOG_LEVEL=DEBUG."
        )
    return name, value
