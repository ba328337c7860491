"""Refusal of a model that no wheels serve, with ways out that were tried, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from packager import engines, targets
from packager.environments import virtual_environments
from packager.errors import (
    ConfigurationError,
    DigestError,
    InterpreterNotFoundError,
    PlanError,
    ToolError,
    UnresolvableError,
)
from packager.facts import devices
from packager.pipeline.plan import _attempts, _checks, _pickles, _python
from packager.pipeline.plan._locked_plans import Outcome, Question, extend_target, plan_under
from packager.pipeline.plan._python import Candidate, Candidates
from packager.pipeline.plan.requirements import _lines, _wheelless
from packager.types import BuildPlan, Interpreter, ResolvedModel, Runtime, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A model for which no Python of the target's has wheels, and what was tried."""

    question: Question
    model: ResolvedModel
    candidates: Candidates
    outcomes: tuple[Outcome, ...]
    upgraded: tuple[BuildPlan, ...]
    """Plans with newer patch releases of pins, where there are any."""
    today: date

    @property
    def target(self) -> Target:
        return self.question.target.target


def explain_refusal(refused: Refused) -> str:
    """Say why nothing serves the model, and what would."""
    target, model = refused.target, refused.model
    failures = [*dict.fromkeys(each.why for each in refused.outcomes)]
    lines = "\n".join(f"  - {line}" for line in failures)
    text = f"No set of wheels serves this model on {target.name}:\n{lines}\n"
    if unused := model.requirements.unused_indexes:
        text += (
            f"The model names {', '.join(unused)}, which was not asked: your own configuration "
            "does not name it. --trust-model-index would use it.\n"
        )
    if sources := _list_source_only(refused):
        text += (
            f"{', '.join(sources)}: the author's Python has no wheel either, and a package "
            "is not built here, as its own code would run on this machine: build a wheel with `pip "
            "wheel` and list it as code/NAME.whl.\n"
        )
    if (bound := _explain_bound(refused)) is not None:
        text += f"{bound[0].upper()}{bound[1:]}, so it stays with Python {model.python_version}.\n"
    ways = "\n".join(f"  - {line}" for line in _list_ways(refused, bound))
    return f"{text}Ways out:\n{ways}"


def _explain_bound(refused: Refused) -> str | None:
    unpickled = refused.question.unpickled
    return _pickles.why_bound(refused.model.root, unpickled) if unpickled else None


def _list_ways(refused: Refused, bound: str | None) -> Iterator[str]:
    yield from _explain_upgrades(refused)
    if bound is None:
        yield from _list_pythons(refused)
    yield from _list_targets(refused)
    yield from _explain_machine_code(refused)
    if bound is not None:
        yield (
            "Log the model again in a format without pickles: skops for scikit-learn, models from "
            "code for a PythonModel."
        )
    minors = _python.list_minors(refused.target, refused.today)
    yield f"Log the model again with versions that have wheels for Python {' or '.join(minors)}."


def _explain_upgrades(refused: Refused) -> Iterator[str]:
    """Say what --upgrade-pins would do, or why it did not help."""
    if refused.upgraded:
        plan = refused.upgraded[0]
        changed = ", ".join(f"{each.name} {each.old} -> {each.new}" for each in plan.upgraded)
        yield (
            f"--upgrade-pins takes {changed} under Python {plan.runtime.python_minor}, if a replay "
            "shows the same answers to the last bit."
        )


def _list_source_only(refused: Refused) -> list[str]:
    """Lines without a wheel for the target's Pythons nor for the author's own."""
    gone = {line for each in refused.outcomes for line in each.missing}
    setting = next((each.setting for each in refused.outcomes if each.setting is not None), None)
    if not gone or setting is None:
        return []
    return list(_wheelless.list_unbuilt(setting, sorted(gone)))


def _list_pythons(refused: Refused) -> Iterator[str]:
    """Other Pythons of the target's that have wheels of all, here or to be installed."""
    request = refused.question.request
    tried = {each.runtime.python_minor for each in refused.candidates.found}
    others = [
        runtime
        for runtime in reversed(refused.target.runtimes)
        if refused.target.has_runtime(runtime, refused.today) and runtime.python_minor not in tried
    ]
    for runtime in others:
        if not _resolves(refused.question, refused.model, _stand_in(refused, runtime)):
            continue
        minor = runtime.python_minor
        given = request.target.python_minor is not None
        yield (
            f"--python {minor} has wheels of all that is needed."
            if given
            else f"Python {minor}, which is not on this machine, has wheels of all that is needed: "
            f"install it, for example with `uv python install {minor}`."
        )
        return


def _stand_in(refused: Refused, runtime: Runtime) -> Candidate:
    """That runtime with any Python: to resolve for it takes none of its own."""
    other = refused.candidates.found[0].interpreter
    interpreter = replace(other, version=f"{runtime.python_minor}.0")
    return Candidate(runtime=runtime, interpreter=interpreter, reasons=())


def _list_targets(refused: Refused) -> Iterator[str]:
    """Other targets with a Python that has wheels of all: images first."""
    architecture = refused.question.request.target.architecture
    tried = {
        (each.runtime.python_minor, each.runtime.platforms.get(architecture))
        for each in refused.candidates.found
    }
    names = [name for name in targets.TARGETS if name != refused.target.name]
    for name in sorted(names, key=lambda each: each != refused.target.way_out):
        try:
            question, found = _ask_of(refused, name)
        except (ConfigurationError, PlanError, InterpreterNotFoundError):
            continue
        for candidate in found:
            runtime = candidate.runtime
            where = runtime.python_minor, runtime.platforms.get(architecture)
            if where in tried:
                continue
            tried.add(where)
            if _resolves(question, refused.model, candidate):
                yield (
                    f"--target {name}: its Python {runtime.python_minor} on {runtime.os} has "
                    "wheels of all that is needed."
                )
                break


def _explain_machine_code(refused: Refused) -> Iterator[str]:
    """Say where machine code would serve: its readers know all that the model's files name."""
    question, model = refused.question, refused.model
    flavor = question.flavor
    if question.request.engine.kind is engines.WITHOUT_WHEELS:
        return
    if engines.why_not(model, flavor.name, engines.WITHOUT_WHEELS):
        return
    framework = _attempts.list_native(flavor, model, None)[0].loader
    if engines.list_unread(model, flavor.name, framework):
        return
    compiled = _find_runtime(refused)
    if compiled is None or not _can_be_asked(refused, compiled):
        return
    author, here = _author_python(refused)
    minor, install = author.minor, "" if here else f" (`uv python install {author.minor}`)"
    yield (
        f"--engine {engines.WITHOUT_WHEELS} compiles the model to a library for Python "
        f"{compiled.runtime.python_minor}, with no wheel of its framework, if a comparison shows "
        f"the same answers. Python {minor} reads it on this machine{install}."
    )


def _find_runtime(refused: Refused) -> Candidate | None:
    """The Python under which the target serves a library; None where it has none."""
    question, model = refused.question, refused.model
    asked = question.request
    request = replace(asked, engine=replace(asked.engine, kind=engines.WITHOUT_WHEELS))
    attempts, _ = _attempts.list_attempts(question.flavor, model, request, refused.target)
    compiled = replace(question, request=request, attempts=attempts, unpickled=())
    try:
        found = _python.candidates(request, model, refused.target, (), refused.today)
    except (PlanError, InterpreterNotFoundError):
        return None
    return next((each for each in found.found if _resolves(compiled, model, each)), None)


def _author_python(refused: Refused) -> tuple[Interpreter, bool]:
    """The Python that the model was logged under, and whether it is on this machine."""
    model, other = refused.model, refused.candidates.found[0].interpreter
    interpreter, elsewhere = virtual_environments.interpreter_of(model, other)
    if not elsewhere or model.python_version is None:
        return interpreter, True
    return replace(other, version=model.python_version), False


def _can_be_asked(refused: Refused, compiled: Candidate) -> bool:
    """Tell whether the environment that the model declares has wheels under its own Python."""
    author, _ = _author_python(refused)
    platform = compiled.runtime.platforms[refused.question.request.target.architecture]
    try:
        virtual_environments.check_model(refused.model, author, platform)
    except (ToolError, DigestError):
        return False
    return True


def _ask_of(refused: Refused, name: str) -> tuple[Question, tuple[Candidate, ...]]:
    """The same question of another target, and its Pythons. Raises what refuses it there."""
    asked = refused.question.request
    request = replace(asked, target=replace(asked.target, name=name, python_minor=None))
    target = targets.load(name, asked.target.facts_dir)
    _checks.settings(request, target)
    _checks.size(refused.model, target, engine=request.engine.kind)
    found = _python.candidates(
        request, refused.model, target, refused.question.unpickled, refused.today
    )
    builds = devices.builds(
        request.target.device or target.machine.device,
        request.target.driver,
        request.target.facts_dir,
    )
    question = replace(
        refused.question,
        request=request,
        target=extend_target(request, target, builds),
        builds=builds,
    )
    return question, found.found


def _resolves(question: Question, model: ResolvedModel, candidate: Candidate) -> bool:
    """Tell whether any attempt has wheels under that Python, at the author's versions."""
    try:
        return any(
            plan_under(question, variant, candidate, strict=strict, briefly=True).plans
            for variant, strict in _lines.list_variants(model, question.request.target.architecture)
        )
    except (PlanError, UnresolvableError):
        return False
