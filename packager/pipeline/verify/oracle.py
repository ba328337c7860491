"""Answers of the registered model, in an environment made from its own requirements."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packager.environments import kept_bytecode, virtual_environments
from packager.errors import ToolError, UnprovenError
from packager.models import registered_model
from packager.pipeline.answers.spread import measure_spread
from packager.pipeline.verify import oracle_runs
from packager.pipeline.verify.oracle_runs import EarlyAnswers
from packager.pipeline.verify.system_libraries import list_used
from packager.probes import Probe
from packager.system import cache, file_tree, sandbox
from packager.system.sandbox import faults
from packager.system.sandbox.faults import AUTHOR
from packager.system.sandbox.level_faults import explain_level
from packager.types import Interpreter, Json, ResolvedModel, Spread

_LOG = logging.getLogger(__name__)

_FORMS_SINCE: Final = (2, 4)
_OF_MLFLOW: Final = "MlflowException INTERNAL_ERROR"
"""Raised before the model was asked; what a model raises is a BAD_REQUEST in an early MLflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One answer: an HTTP status, and the body as text."""

    status: int
    body: str
    again: tuple[str, ...] = ()
    """What the same model answered to the same request when asked more often, where it was."""
    raised: str = ""
    """The class of the exception behind a refusal: `lightgbm.basic.LightGBMError`."""
    refused: tuple[str, ...] = ()
    """What its sandbox refused the model, a sentence each."""
    lacks_form: bool = False
    """Whether an early MLflow refused the request's form, which a later one takes. The model was
    not asked, and a function may answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    answers: tuple[Recorded, ...]
    """One for each probe, in order."""
    oracle: str
    declared_bytes: int
    """Installed files of the environment, bytecode not counted."""
    protections: tuple[str, ...] = ()
    """What held while it answered."""
    start_cpu_ms: float
    """From process start to the first answer, with bytecode in place."""
    threaded: tuple[str, ...] = ()
    """Classes of the loaded model that are set to more than one thread."""
    python: Path | None = None
    """Of the environment in which it answered."""
    system_libraries: tuple[str, ...] = ()
    """Of this machine's system, beside those that its Python runs on."""

    @property
    def spread(self) -> Spread:
        return measure_spread((each.body, *each.again) for each in self.answers if each.again)


def record(
    model: ResolvedModel,
    probes: Sequence[Probe],
    otherwise: Interpreter,
    platform: str,
    *,
    threads: int | None = None,
    one_thread: bool = False,
    network: bool = False,
    request_seconds: int | None = None,
    early: EarlyAnswers | None = None,
) -> Answers:
    """Answers of mlflow.pyfunc to every probe, from the cache where nothing has changed.

    `otherwise` is the interpreter used where the author's minor version is not on this machine,
    `platform` the target's, for which versions are chosen;
    `threads` is how many onnxruntime takes where the model does not say, None for all that there
    are: it sums in another order on another number. `one_thread` holds all else to one. With
    `network` the model reaches the network. A request may take `request_seconds`,
    where nobody says two minutes.
    Raises UnprovenError where the environment cannot be made or the model does not load in it.
    """
    _, note = virtual_environments.interpreter_of(model, otherwise)
    limited = _list_limits(threads, one_thread=one_thread)
    asked = _prepare(
        model,
        probes,
        otherwise,
        platform,
        options=(*limited, *_list_patience(request_seconds)),
        network=network,
    )
    python, interpreter = asked.python, asked.interpreter
    key = _key(model, probes, python, (*limited, *(("network",) if network else ())))

    def make(folder: Path) -> None:
        _LOG.info("Recording what the registered model answers to %d requests", len(probes))
        if early is None or not early.take(asked, folder):
            oracle_runs.write_answers(asked, folder)
        _check(folder, len(probes))

    folder = cache.ensure("answers", key, make)
    run, *answers = _read(folder / oracle_runs.ANSWERS)
    _check_level(answers, probes, (model.root, python.parent.parent))
    start = _read(folder / oracle_runs.FIRST)[0]["first_answer_cpu_ms"]
    read = functools.partial(_read_answer, is_early=_is_early(run["mlflow"]))
    return Answers(
        answers=tuple(map(read, probes, answers)),
        oracle=f"Python {run['python']}, mlflow {run['mlflow']}, installed by uv from "
        f"{model.requirements.source}{note}",
        protections=registered_model.protections(network=network),
        declared_bytes=_installed_bytes(python),
        start_cpu_ms=float(start),
        python=python,
        threaded=tuple(run.get("threaded", ())),
        system_libraries=list_used(run.get("libraries", ()), interpreter),
    )


def begin_recording(
    model: ResolvedModel,
    probes: Sequence[Probe],
    otherwise: Interpreter,
    platform: str,
    folder: Path,
    *,
    threads: int | None = None,
    network: bool = False,
    request_seconds: int | None = None,
) -> EarlyAnswers:
    """Have the model loaded, and asked, while others find out what else to ask it.

    The arguments are those of `record`, which may be told more probes; `folder` is an empty one.
    """
    options = (*_list_limits(threads, one_thread=False), *_list_patience(request_seconds))
    return EarlyAnswers(
        folder,
        lambda: _prepare(model, probes, otherwise, platform, options=options, network=network),
    )


def _list_limits(threads: int | None, *, one_thread: bool) -> tuple[str, ...]:
    return (
        *(() if threads is None else ("--threads", str(threads))),
        *(("--one-thread",) if one_thread else ()),
    )


def _list_patience(request_seconds: int | None) -> tuple[str, ...]:
    return () if request_seconds is None else ("--seconds", str(request_seconds))


def _prepare(
    model: ResolvedModel,
    probes: Sequence[Probe],
    otherwise: Interpreter,
    platform: str,
    *,
    options: tuple[str, ...],
    network: bool,
) -> oracle_runs.Asked:
    """Make the model's environment. Raises UnprovenError."""
    interpreter, _ = virtual_environments.interpreter_of(model, otherwise)
    return oracle_runs.Asked(
        python=_make_environment(model, interpreter, platform),
        interpreter=interpreter,
        root=model.root,
        flavors=tuple(sorted(model.flavors)),
        probes=tuple(probes),
        options=options,
        network=network,
    )


def keep_bytecode(model: ResolvedModel, otherwise: Interpreter, platform: str) -> None:
    """Compile what the model was seen to import, for its next version's `record`.

    Raises what `kept_bytecode.provide_bytecode` and `of_model` raise.
    """
    interpreter, _ = virtual_environments.interpreter_of(model, otherwise)
    python = virtual_environments.of_model(model, interpreter, platform)
    use = kept_bytecode.name_use(oracle_runs.WORKER.name, model.flavors)
    kept_bytecode.provide_bytecode(python, interpreter, use)


def _make_environment(model: ResolvedModel, interpreter: Interpreter, platform: str) -> Path:
    """Return the Python of the model's environment. Raises UnprovenError."""
    try:
        return virtual_environments.of_model(model, interpreter, platform)
    except ToolError as error:
        raise UnprovenError(
            virtual_environments.explain_failure(model, interpreter, error)
        ) from error


def _read_answer(probe: Probe, line: Mapping[str, Any], *, is_early: bool) -> Recorded:
    raised = line.get("raised", "")
    return Recorded(
        status=line["status"],
        body=line["body"],
        again=tuple(line.get("again", ())),
        raised=raised,
        refused=faults.explain(str(line.get("trace", "")), AUTHOR),
        lacks_form=is_early and probe.rows > 0 and line["status"] != 200 and raised == _OF_MLFLOW,
    )


def _is_early(version: str) -> bool:
    """Tell whether MLflow is from before 2.4: its server takes `inputs` for tensors, or one row."""
    release = re.match(r"(\d+)\.(\d+)", version)
    return release is not None and (int(release[1]), int(release[2])) < _FORMS_SINCE


def _key(
    model: ResolvedModel, probes: Sequence[Probe], python: Path, limited: Sequence[str]
) -> str:
    """Return a key of everything that an answer hangs on."""
    parts = (
        model.digest,
        python.parent.parent.parent.name,
        *limited,
        sandbox.weak_level(),
        file_tree.sha256(oracle_runs.WORKER),
        file_tree.sha256(oracle_runs.THREADS),
        json.dumps(virtual_environments.variables(Path("~")), sort_keys=True),
        *(oracle_runs.write_probe(probe) for probe in probes),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _check(folder: Path, count: int) -> None:
    """Raises UnprovenError where the worker ended well and wrote other than it should.

    A model's code can end the process it is loaded in.
    """
    try:
        _, *answers = _read(folder / oracle_runs.ANSWERS)
        whole = len(answers) == count and all(
            isinstance(line["status"], int) and isinstance(line["body"], str) for line in answers
        )
        float(_read(folder / oracle_runs.FIRST)[0]["first_answer_cpu_ms"])
    except (OSError, ValueError, TypeError, LookupError):
        whole = False
    if not whole:
        raise UnprovenError(
            "There is nothing to compare with: the process in which the registered model was "
            "loaded ended before it had answered. Code of the model may call sys.exit or os._exit."
        )


def _check_level(answers: Sequence[Json], probes: Sequence[Probe], given: Sequence[Path]) -> None:
    """Raises UnprovenError where the model was refused what it could have done elsewhere."""
    for line, probe in zip(answers, probes, strict=True):
        why = explain_level(str(line.get("trace", "")), AUTHOR, sandbox.weak_level(), given)
        if why:
            raise UnprovenError(
                f"There is nothing to compare with: the registered model failed at {probe.name}. "
                + " ".join(why)
            )


def _read(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@functools.cache
def _installed_bytes(python: Path) -> int:
    """Bytes of an environment, which is the same as long as this process holds it."""
    packages = python.parent.parent / "lib"
    files = (packages / name for name in file_tree.walk(packages) if name.suffix != ".pyc")
    return sum(path.stat().st_size for path in files if path.is_file())
