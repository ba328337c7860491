"""A long-lived server on this machine, over an artifact or straight from a model."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager import targets
from packager.commands import artifact
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.local_boot import find_weights, parse_variables, prepare_boot
from packager.commands.local_http_server import Front, listen
from packager.environments import interpreters, virtual_environments
from packager.errors import ConfigurationError, EmulatorError, ToolError
from packager.models import registered_model
from packager.models.registry import ModelRegistry
from packager.pipeline.build import plan_build
from packager.pipeline.slim import slim
from packager.system import cache, file_tree, process
from packager.system.resources import PACKAGE, WORKERS, handlers_root
from packager.targets.hosts import HOSTS, PING
from packager.targets.lambda_emulator import why_not_bootable, why_not_provable
from packager.types import BuildPlan, BuildRequest, Target

_LOG = logging.getLogger(__name__)

_WORKER: Final = WORKERS / "serve.py"
_NEEDS: Final = (
    "fastapi>=0.120",
    "uvicorn>=0.38",
    "httptools>=0.7",  # what uvicorn parses and waits with where it is there
    "uvloop>=0.22; sys_platform != 'win32'",
)
_CHECK: Final = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "from pathlib import Path\n"
    "from handlers.manifest import Manifest\n"
    "from handlers.scoring.predictor import load\n"
    "load(Manifest.read(Path(sys.argv[1])), Path(sys.argv[1]))\n"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A function's folder and a Python that can serve it."""

    function: Path
    python: Path
    network: bool = False
    """Whether the model's code reaches what this machine reaches."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Those of `--env`."""
    weights: Path | None = None
    """Folder of what lies outside of the function's."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """An artifact that is served as it will be deployed: by what stands for its target."""

    target: Target
    built: artifact.Built
    minor: str
    network: bool
    variables: tuple[str, ...] = ()


def prepare(
    source: str,
    request: BuildRequest,
    registry: Callable[[], ModelRegistry],
    *,
    deployed: bool,
    variables: Sequence[str] = (),
) -> Server | Deployed:
    """Find or stage the function's folder, and an environment with a web server for it.

    A model's folder is staged once per model, plan and version of this program, and kept in the
    cache; it is slimmed but not proven: `packager build` does that. `variables` are `NAME=VALUE`.
    Raises ConfigurationError where what is not built should be served as `deployed`, and for what
    is no variable.
    """
    given = parse_variables(variables)
    folder, weights = Path(source), None
    if artifact.is_artifact(folder):
        built = artifact.read(folder)
        warn_of_changes(folder)
        target = targets.load(built.target)
        function = built.folder / target.tree.home
        minor = artifact.read_manifest(function).python
        if why := _explain_unservable(built, target, minor, deployed=deployed):
            raise ConfigurationError(why)
        if deployed:
            return Deployed(target, built, minor, request.model.allow_network, tuple(variables))
        artifact.check_interface(built)
        weights = find_weights(built, artifact.read_manifest(function))
    elif deployed:
        raise ConfigurationError(
            "--as-deployed needs an artifact. Build one first, and give its folder."
        )
    else:
        function = _ensure_staged_folder(request, registry())
    manifest = artifact.read_manifest(function)
    interpreter = interpreters.find(manifest.python)
    python = virtual_environments.ensure(interpreter, _NEEDS, label="serve", compiled=True)
    # the function knows its modules by their full paths: neither links nor `..` may be in them
    return Server(
        function=function.resolve(),
        python=python,
        network=request.model.allow_network,
        variables=given,
        weights=None if weights is None else weights.resolve(),
    )


def _explain_unservable(
    built: artifact.Built, target: Target, minor: str, *, deployed: bool
) -> str | None:
    """Explain why this machine cannot serve the artifact; None where it can."""
    lacking = why_not_provable(built.architecture, target.program.host, minor)
    why = why_not_bootable(built.architecture)
    if deployed or why is None or lacking is not None:
        return lacking
    return f"{why} With --as-deployed it is served under QEMU's user emulation."


def run(server: Server | Deployed, *, host: str, port: int) -> int:
    """Serve until interrupted or terminated; returns what to exit with.

    Raises ConfigurationError where nothing can listen there, EmulatorError where what stands for
    the target does not come up, SandboxError where the model's code ran into a limit, ToolError
    where the server ends for another reason.
    """
    if isinstance(server, Deployed):
        return _run_deployed(server, host, port)
    with listen(host, port) as listener:
        _LOG.info("Starting the server, which loads the model first")
        fd = listener.fileno()
        arguments: list[str | Path] = [server.function, handlers_root(), str(fd)]
        code = registered_model.serve(
            [server.python, _WORKER, *arguments],
            readable=(server.function, handlers_root(), _WORKER, *filter(None, [server.weights])),
            network=server.network,
            env={**_environment(server.function, server.weights), **server.variables},
            pass_fds=(fd,),
        )
    if code not in {0, -signal.SIGINT, -signal.SIGTERM}:
        raise ToolError(f"The server ended with code {code}. Its last lines, above, say why.")
    return code if code == 0 else 128 - code


def _run_deployed(server: Deployed, host: str, port: int) -> int:
    with (
        prepare_boot(
            server.built,
            server.target,
            server.minor,
            variables=server.variables,
            network=server.network,
        ) as boot,
        HOSTS[server.target.program.host](boot) as function,
    ):
        _LOG.info("%s", function.about)
        if failure := function.ask(PING).failure:
            raise EmulatorError(f"The function does not start: {failure}\n{function.log()[-3000:]}")
        with Front(host, port, function, server.target.limits.request_bytes) as front:
            _LOG.info("As deployed, it is running on %s", front.address)
            with contextlib.suppress(KeyboardInterrupt):
                front.serve_forever()
    return 0


def _environment(function: Path, weights: Path | None = None) -> dict[str, str]:
    """Return what the server reads of the user's: no secret that a model's code could take."""
    outside = {} if weights is None else {"PACKAGER_WEIGHTS": str(weights)}
    return {
        **process.basic_environment(),
        **process.numeric_environment(),
        **process.inherit(("LOG_LEVEL",), prefixes=("PACKAGER_",)),
        "LD_LIBRARY_PATH": str(function / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **outside,
    }


def _ensure_staged_folder(request: BuildRequest, registry: ModelRegistry) -> Path:
    with plan_build(request, registry) as (_, attempts, place):
        failures: list[str] = []
        for number, attempt in enumerate(attempts):
            work = place.stage(f"attempt-{number}")
            try:
                return cache.ensure(
                    "served", _key(attempt), functools.partial(_stage_files, attempt, work)
                )
            except ToolError as error:
                failures.append(f"{attempt.tier}/{attempt.frame}: {error}")
    raise ToolError(
        "The model could not be loaded:\n  - "
        + "\n  - ".join(failures)
        + "\n`packager build` proves a model and says more about what it lacks."
    )


def _key(attempt: BuildPlan) -> str:
    """Return a key of all that the staged folder is made from: this program's sources too."""
    own = file_tree.digest(
        record
        for source in (PACKAGE, handlers_root())
        for record in file_tree.records(source)
        if "__pycache__" not in record.path.parts
    )
    label = f"{attempt.tier}-{attempt.frame}-{attempt.runtime.name}"
    asked = (attempt.passes, attempt.keep, attempt.request.slimming.optimize)
    parts = (own, attempt.model.digest, label, asked, attempt.lock.text)
    return f"{label}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]}"


def _stage_files(attempt: BuildPlan, work: Path, folder: Path) -> None:
    """Slim into `folder`; the model must load there, in a process of its own."""
    bundle = slim(attempt, work)
    checked = registered_model.run(
        [attempt.interpreter.path, "-c", _CHECK, bundle.root],
        readable=(bundle.root,),
        network=attempt.request.model.allow_network,
        more=_environment(bundle.root),
        timeout_seconds=300,
        check=False,
    )
    if checked.returncode != 0:
        raise ToolError((checked.stderr.strip().splitlines() or ["it ended and said nothing"])[-1])
    shutil.copytree(bundle.root, folder, dirs_exist_ok=True)
