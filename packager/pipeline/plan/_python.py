"""Choice of Python, and so of runtime, system and wheels: candidates in order, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from packager import targets
from packager.environments import interpreters
from packager.errors import ConfigurationError, InterpreterNotFoundError, PlanError
from packager.pipeline.plan import _checks, _pickles
from packager.pipeline.plan._checks import join_names
from packager.types import BuildRequest, Interpreter, ResolvedModel, Runtime, Target

_SOON: Final = timedelta(days=180)
_NUMPY_GLIBC: Final = (2, 28)
"""Of manylinux_2_28, which wheels of numpy, scipy and pandas ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    runtime: Runtime
    interpreter: Interpreter
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    found: tuple[Candidate, ...]
    bound: str | None = None
    """Why the model cannot move to another Python; None where it can."""


def candidates(
    request: BuildRequest,
    model: ResolvedModel,
    target: Target,
    unpickled: tuple[str, ...],
    today: date,
) -> Candidates:
    """Runtimes in the order in which they are to be tried.

    --python decides alone. What is unpickled stays with the Python that wrote it, and moves only
    if it holds no compiled code. All else takes the newest runtime that there is a Python for here.
    Raises PlanError where no runtime will do, InterpreterNotFoundError where no Python is here.
    """
    author = _minor(model.python_version)
    if request.target.python_minor is not None:
        return Candidates(
            found=(
                _choose_requested(
                    request, request.target.python_minor, model, target, unpickled, today
                ),
            )
        )
    usable = [runtime for runtime in target.runtimes if target.has_runtime(runtime, today)]
    newest = sorted(usable, key=lambda runtime: _order(runtime.python_minor), reverse=True)
    if not unpickled:
        return Candidates(found=_free(newest, model, today))
    bound = _pickles.why_bound(model.root, unpickled)
    own = next((runtime for runtime in usable if runtime.python_minor == author), None)
    if own is None and bound is not None:
        elsewhere = _list_others(request, model, target, unpickled, today)
        raise PlanError(_no_runtime(author, target, bound, elsewhere, today))
    kept = (
        () if own is None else _keep_python(own, model, unpickled, today, alone=bound is not None)
    )
    others: list[Candidate] = []
    if bound is None:
        rest = [runtime for runtime in newest if runtime is not own]
        others = _list_other_candidates(rest, model, unpickled, today)
    # a Python that gets no more security fixes comes behind those that do
    maintained = [each for each in (*kept, *others) if each.runtime.end_of_life > today]
    found = [*maintained, *(each for each in (*kept, *others) if each not in maintained)]
    if not found:
        raise InterpreterNotFoundError(newest[0].python_minor, ("this machine",))
    return Candidates(found=tuple(found), bound=bound)


def _keep_python(
    own: Runtime, model: ResolvedModel, unpickled: tuple[str, ...], today: date, *, alone: bool
) -> tuple[Candidate, ...]:
    """The author's Python. Raises InterpreterNotFoundError where it is not here, and must be."""
    try:
        interpreter = interpreters.find(own.python_minor)
    except InterpreterNotFoundError:
        if alone or own.end_of_life > today:
            raise
        return ()
    why = (
        f"Python {own.python_minor} is kept: {join_names(unpickled)} was pickled under Python "
        f"{model.python_version}."
    )
    return (_candidate(own, interpreter, why, today),)


def _choose_requested(
    request: BuildRequest,
    minor: str,
    model: ResolvedModel,
    target: Target,
    unpickled: tuple[str, ...],
    today: date,
) -> Candidate:
    author = _minor(model.python_version)
    runtime = next(r for r in target.runtimes if r.python_minor == minor)
    if not target.has_runtime(runtime, today):
        raise PlanError(
            f"--python {minor}: {runtime.name} came to its end of life on {runtime.end_of_life} "
            f"({runtime.source}, {runtime.as_of}). Choose a later one."
        )
    if author not in {None, minor} and (name := _pickles.find_code(model.root, unpickled)):
        own = any(
            each.python_minor == author and target.has_runtime(each, today)
            for each in target.runtimes
        )
        leave = " Leave --python out." if own else ""
        others = _list_others(request, model, target, unpickled, today)
        raise PlanError(
            f"--python {minor}: {name} holds compiled code, pickled under Python {author}, which "
            f"no other version runs.{leave}\n{_explain_ways(target, author, others, today)}"
        )
    why = f"Python {minor}: asked for with --python."
    if unpickled and author is not None and author != minor:
        why += (
            f" {join_names(unpickled)} was pickled under Python {author}; whether it loads under "
            f"{minor} is left to replay."
        )
    return _candidate(runtime, interpreters.find(minor), why, today)


def _free(newest: list[Runtime], model: ResolvedModel, today: date) -> tuple[Candidate, ...]:
    here = interpreters.available(tuple(runtime.python_minor for runtime in newest))
    if not here:
        raise InterpreterNotFoundError(newest[0].python_minor, ("this machine",))
    by_minor = {interpreter.minor: interpreter for interpreter in here}
    author = f" (the author's was {model.python_version})" if model.python_version else ""
    return tuple(
        _candidate(
            runtime,
            by_minor[runtime.python_minor],
            f"Python {runtime.python_minor}: nothing in this model is unpickled, so the newest "
            f"runtime is taken that wheels and a Python on this machine exist for{author}.",
            today,
        )
        for runtime in newest
        if runtime.python_minor in by_minor
    )


def _list_other_candidates(
    others: list[Runtime], model: ResolvedModel, unpickled: tuple[str, ...], today: date
) -> list[Candidate]:
    by_minor = {
        interpreter.minor: interpreter
        for interpreter in interpreters.available(tuple(r.python_minor for r in others))
    }
    version = model.python_version
    was = f"the author's {version}" if version else "the author's, which is not written down"
    return [
        _candidate(
            runtime,
            by_minor[runtime.python_minor],
            f"Python {runtime.python_minor} instead of {was}: {join_names(unpickled)} "
            "is a pickle without compiled code, which another Python may load; replay proves it.",
            today,
        )
        for runtime in others
        if runtime.python_minor in by_minor
    ]


def _candidate(runtime: Runtime, interpreter: Interpreter, why: str, today: date) -> Candidate:
    glibc = ".".join(map(str, runtime.glibc))
    kept = "is maintained until" if runtime.end_of_life > today else "has had no fixes since"
    about = (
        f"{runtime.name} runs on {runtime.os} (glibc {glibc}) and {kept} "
        f"{runtime.end_of_life} ({runtime.source}, {runtime.as_of})."
    )
    soon: tuple[str, ...] = ()
    if runtime.end_of_life <= today:
        minor = runtime.python_minor
        soon = (f"Python {minor} gets no more fixes: log the model again under a later one.",)
    elif runtime.end_of_life - today <= _SOON:
        soon = (f"{runtime.name} is near its end of life: {runtime.end_of_life}.",)
    return Candidate(runtime=runtime, interpreter=interpreter, reasons=(why, about, *soon))


def _no_runtime(
    author: str | None, target: Target, bound: str, others: Sequence[str], today: date
) -> str:
    if author is None:
        return (
            f"{bound[0].upper()}{bound[1:]}, and MLmodel does not say which Python wrote it. "
            "Say it with --python."
        )
    return (
        f"{bound[0].upper()}{bound[1:]}, written under Python {author}, which no other version "
        f"runs; {target.name} has no maintained runtime of it.\n"
        f"{_explain_ways(target, author, others, today)}"
    )


def _explain_ways(target: Target, author: str | None, others: Sequence[str], today: date) -> str:
    """Explain what an author can do about a pickle that is tied to its Python."""
    without = "skops for scikit-learn, models from code for a PythonModel"
    ways = [
        f"log the model again in a format without pickles ({without})",
        f"log it under Python {' or '.join(list_minors(target, today))}",
        *(f"use the target {name}, which has Python {author}" for name in others),
    ]
    return f"Ways out: {'; or '.join(ways)}."


def _list_others(
    request: BuildRequest,
    model: ResolvedModel,
    target: Target,
    unpickled: tuple[str, ...],
    today: date,
) -> list[str]:
    """Other targets that have the author's Python and refuse neither the request nor the model."""
    author = _minor(model.python_version)
    found: list[str] = []
    for name in targets.TARGETS:
        other = targets.load(name, request.target.facts_dir)
        usable = {each.python_minor for each in other.runtimes if other.has_runtime(each, today)}
        if name == target.name or author not in usable:
            continue
        asked = replace(request, target=replace(request.target, name=name, python_minor=None))
        try:
            _checks.settings(asked, other)
            _checks.size(model, other, engine=request.engine.kind)
            candidates(asked, model, other, unpickled, today)
        except (ConfigurationError, PlanError, InterpreterNotFoundError):
            continue
        found.append(name)
    return found


def list_minors(target: Target, today: date) -> list[str]:
    """Pythons of a target's that are maintained, on systems that today's wheels are made for."""
    return [
        runtime.python_minor
        for runtime in target.runtimes
        if runtime.end_of_life > today and runtime.glibc >= _NUMPY_GLIBC
    ]


def _minor(version: str | None) -> str | None:
    return ".".join(version.split(".")[:2]) if version else None


def _order(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split("."))
