"""What the registered model answers, in an environment made from its own requirements."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager import _archive, _cache, _process, environments, interpreters
from packager.errors import InterpreterNotFoundError, ToolError, UnprovenError
from packager.probes import Probe
from packager.types import Interpreter, Json, Requirements, ResolvedModel

_LOG = logging.getLogger(__name__)

_WORKER: Final = Path(__file__).parent.parent / "workers" / "oracle.py"
_SECONDS: Final = 900
# MLflow's own switches: whether pickles and model code may be loaded at all, and on which device
_SWITCHES: Final = ("MLFLOW_ALLOW_", "MLFLOW_DEFAULT_PREDICTION_DEVICE", "MLFLOW_DISABLE_SCHEMA_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One answer: an HTTP status, and the body as text."""

    status: int
    body: str
    again: str | None = None
    """What the same model answered to the same request once more, where that was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    answers: tuple[Recorded, ...]
    """One for each probe, in order."""
    oracle: str
    declared_bytes: int
    """Installed files of the environment, bytecode not counted."""
    start_cpu_ms: float
    """From process start to the first answer, with bytecode in place."""


def record(model: ResolvedModel, probes: Sequence[Probe], otherwise: Interpreter) -> Answers:
    """Answers of mlflow.pyfunc to every probe, from the cache where nothing has changed.

    `otherwise` is the interpreter used where the author's minor version is not on this machine.
    Raises UnprovenError where the environment cannot be made or the model does not load in it.
    """
    interpreter, note = _interpreter(model, otherwise)
    lines = _with_mlflow(model)
    try:
        python = environments.ensure(
            interpreter,
            lines,
            options=model.requirements.options,
            constraints=model.requirements.constraints,
            base=model.root if _has_paths(model.requirements) else None,
            label="model",
        )
    except ToolError as error:
        raise UnprovenError(
            "There is nothing to compare with: the environment that the model declares "
            f"({model.requirements.source}) cannot be installed on Python {interpreter.version}.\n"
            f"{error}"
        ) from error
    environment = python.parent.parent.parent.name
    key = _key(model, probes, environment)

    def make(folder: Path) -> None:
        _LOG.info("Recording what the registered model answers to %d requests", len(probes))
        asked = folder / "probes.jsonl"
        asked.write_text("".join(_line(probe) for probe in probes), encoding="utf-8")
        _run(python, model.root, asked, folder / "answers.jsonl")
        # the first run wrote the bytecode; a start is measured with it in place
        _run(python, model.root, asked, folder / "first.jsonl", "--first")

    folder = _cache.ensure("answers", key, make)
    run, *answers = _read(folder / "answers.jsonl")
    start = _read(folder / "first.jsonl")[0]["first_answer_cpu_ms"]
    return Answers(
        answers=tuple(
            Recorded(status=line["status"], body=line["body"], again=line.get("again"))
            for line in answers
        ),
        oracle=f"Python {run['python']}, mlflow {run['mlflow']}, installed by uv from "
        f"{model.requirements.source}{note}",
        declared_bytes=_installed_bytes(python),
        start_cpu_ms=float(start),
    )


def _interpreter(model: ResolvedModel, otherwise: Interpreter) -> tuple[Interpreter, str]:
    if not model.python_version:
        return otherwise, "; the model does not say which Python it is for"
    minor = ".".join(model.python_version.split(".")[:2])
    try:
        return interpreters.find(minor), ""
    except InterpreterNotFoundError:
        return otherwise, f"; the author's Python {model.python_version} is not on this machine"


def _with_mlflow(model: ResolvedModel) -> tuple[str, ...]:
    lines = model.requirements.lines
    if any(_name(line) in {"mlflow", "mlflow-skinny"} for line in lines):
        return lines
    pin = f"=={model.mlflow_version}" if model.mlflow_version else ""
    return (*lines, f"mlflow{pin}")


def _name(line: str) -> str:
    for at, letter in enumerate(line):
        if not (letter.isalnum() or letter in "-_."):
            line = line[:at]
            break
    return line.lower().replace("_", "-").replace(".", "-")


def _has_paths(requirements: Requirements) -> bool:
    every = (*requirements.lines, *requirements.constraints)
    return any("/" in line and "://" not in line for line in every)


def _key(model: ResolvedModel, probes: Sequence[Probe], environment: str) -> str:
    """Of everything that an answer hangs on."""
    parts = (
        model.digest,
        environment,
        _archive.sha256(_WORKER),
        json.dumps(_environment(Path("~")), sort_keys=True),
        *(_line(probe) for probe in probes),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _line(probe: Probe) -> str:
    body = base64.b64encode(probe.body).decode("ascii")
    return json.dumps({"body": body, "content_type": probe.content_type}) + "\n"


def _run(python: Path, root: Path, asked: Path, answered: Path, *more: str) -> None:
    """Run the model's code: in a process of its own, with a home of its own, for a limited time."""
    with tempfile.TemporaryDirectory(prefix="packager-oracle-") as home:
        done = _process.run(
            [python, "-s", _WORKER, root, asked, answered, *more],
            cwd=Path(home),
            env=_environment(Path(home)),
            timeout_seconds=_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise UnprovenError(
            "There is nothing to compare with: the registered model does not load in the "
            f"environment that it declares.\n{done.stderr.strip()[-3000:]}"
        )


def _environment(home: Path) -> Mapping[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **{key: value for key, value in os.environ.items() if key.startswith(_SWITCHES)},
        **_process.numeric_environment(),
    }


def _read(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _installed_bytes(python: Path) -> int:
    packages = python.parent.parent / "lib"
    return sum(
        path.stat().st_size
        for path in packages.rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    )
