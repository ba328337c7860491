"""Plans under one Python: each attempt whose wheels resolve there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from packaging.utils import canonicalize_name

from packager.environments.python_parser import lock_parser
from packager.errors import PlanError, UnresolvableError
from packager.facts import devices
from packager.facts.modules import module_names
from packager.models.model_imports import ModelImports
from packager.pipeline.plan import _checks, _locks, _modules, _names, _reasons, _serving
from packager.pipeline.plan._attempts import Attempt
from packager.pipeline.plan._locks import Setting
from packager.pipeline.plan._modules import Named, Needs
from packager.pipeline.plan._python import Candidate
from packager.pipeline.plan.requirements import (
    _arrow,
    _kept,
    _lines,
    _refusals,
    _requirements,
    _upgrades,
    _wheelless,
    _wheels,
)
from packager.pipeline.plan.requirements._arrow import TextStorage
from packager.types import (
    BuildPlan,
    BuildRequest,
    Device,
    EffectiveTarget,
    Engine,
    Flavor,
    HttpAuth,
    Lock,
    PassName,
    ResolvedModel,
    Shipped,
    Target,
    UpgradedPin,
    Weights,
)

_LOG = logging.getLogger(__name__)
_ANYWHERE: Final = frozenset(
    {PassName.WEIGHTS, PassName.PRUNE, PassName.BYTECODE, PassName.LIBRARIES}
)
"""Passes that leave compiled code alone: of what is for a GPU, a CPU's replay would see no harm."""
_Locked: TypeAlias = tuple[Lock, tuple[str, ...]]
NO_WHEEL: Final = "no wheel"
_PICKLED: Final = frozenset({"sentence_transformers", "transformers"})
"""Flavors whose library reads weights from either a pickle or safetensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that is the same whichever Python is tried."""

    request: BuildRequest
    target: EffectiveTarget
    builds: devices.Builds
    flavor: Flavor
    attempts: tuple[Attempt, ...]
    refused: tuple[str, ...]
    """Why an engine is left out."""
    unpickled: tuple[str, ...]
    imports: ModelImports
    text: TextStorage = field(default_factory=TextStorage)
    """Of pandas', in the model's pickles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Plans under one Python; where there are none, why."""

    plans: tuple[BuildPlan, ...] = ()
    setting: Setting | None = None
    """None where the model's own wheels are not for that Python."""
    why: str = ""
    missing: tuple[str, ...] = ()
    """Lines that no wheel answers there."""


def extend_target(request: BuildRequest, target: Target, builds: devices.Builds) -> EffectiveTarget:
    """Return the target with what this build adds to it."""
    telemetry = target.program.telemetry if request.http.opentelemetry else None
    token_check = target.program.token_check if request.http.auth is HttpAuth.JWT else None
    more = [each for each in (telemetry, token_check) if each is not None]
    outside = target.weights if request.target.weights is not Weights.PACKAGE else None
    return EffectiveTarget(
        target=target,
        requires=(
            *target.required_for(request.events.sources),
            *(line for each in more for line in each.requires),
            *builds.requires,
        ),
        keep=(
            *target.program.keep,
            *(name for each in more for name in each.keep),
            # read at start once the weights lie outside, which they do for no trace
            *(f"handlers/{name}" for name in ([] if outside is None else outside.handlers)),
        ),
    )


def plan_under(
    question: Question,
    model: ResolvedModel,
    candidate: Candidate,
    *,
    strict: bool,
    failures: Iterable[str] = (),
    briefly: bool = False,
) -> Outcome:
    """Plan every attempt under the Python of `candidate`; `failures` are those of others.

    `briefly` asks whether there is any: what is missing is not looked for then.
    Raises PlanError for what no Python mends: lines of the author's machine, missing modules.
    """
    runtime = candidate.runtime
    own = runtime.python_minor, runtime.platforms[question.request.target.architecture]
    if bad := list(_wheels.unfit(model.requirements.lines, *own)):
        return Outcome(
            why=f"{runtime.name} on {own[1]}: the model brings {', '.join(bad)}, which cannot be "
            "installed there. Bring wheels for that Python and Linux, or such as run anywhere."
        )
    _LOG.info("Resolving wheels for %s", runtime.name)
    setting = Setting(
        request=question.request,
        model=model,
        target=question.target,
        builds=question.builds,
        candidate=candidate,
        declared={},
        strict=strict,
    )
    if briefly and _is_hopeless(setting, question):
        return Outcome(setting=setting)
    if not briefly and (gone := _list_hopeless(setting, question)):
        return _explain_none(setting, gone, "")
    setting = _prepare(setting, question)
    plans, words = _plans(setting, question, failures)
    if plans or briefly:
        return Outcome(plans=plans, setting=setting)
    last = question.attempts[-1]
    missing = _wheelless.list_missing(setting, last.loader, last.frame)
    return _explain_none(setting, missing, words)


def plan_upgraded(
    question: Question, outcomes: Iterable[Outcome], failures: Sequence[str]
) -> tuple[BuildPlan, ...]:
    """Plan with newer patch releases of pins that have no wheel, under the Python of fewest.

    `outcomes` are those of the author's own versions.
    """
    found: list[Setting] = []
    for setting in (each.setting for each in outcomes if each.setting is not None):
        loaders = [(each.loader, each.frame) for each in question.attempts]
        if upgrades := _upgrades.find_upgrades(setting, loaders):
            found.append(replace(setting, upgrades=upgrades))
    for setting in sorted(found, key=lambda each: len(each.upgrades)):
        plans, _ = _plans(_prepare(setting, question), question, failures)
        if plans:
            return plans
    return ()


def make_needs(question: Question, model: ResolvedModel) -> Needs:
    """By what each of the author's distributions is needed, as far as reading tells."""
    return Needs(
        model=model,
        imports=question.imports,
        names=module_names(question.request.target.facts_dir),
        required=_requirements.find_required(each.loader for each in question.attempts),
        kept=frozenset(map(canonicalize_name, question.request.slimming.keep_packages)),
        is_known=question.flavor.name in _serving.KNOWN,
    )


def _list_hopeless(setting: Setting, question: Question) -> tuple[str, ...]:
    """Lines that no wheel answers, where every attempt needs one; () where any may do without.

    It is asked before the author's environment is resolved, for another Python than the author's.
    """
    author = setting.model.python_version or ""
    if setting.candidate.runtime.python_minor == ".".join(author.split(".")[:2]):
        return ()
    if not _is_hopeless(setting, question):
        return ()
    last = question.attempts[-1]
    return _wheelless.list_missing(setting, last.loader, last.frame)


def _is_hopeless(setting: Setting, question: Question) -> bool:
    """Tell whether every attempt needs a line that no wheel answers: few lines are asked for."""
    needed = [
        _wheelless.list_certain(setting, each.loader, each.frame) for each in question.attempts
    ]
    gone = frozenset(_wheelless.list_wheelless(setting, sorted(frozenset().union(*needed))))
    return all(not each.isdisjoint(gone) for each in needed)


def _prepare(setting: Setting, question: Question) -> Setting:
    """The setting with the author's environment.

    Raises PlanError for what nothing has, and ConfigurationError for a name to keep as that.
    """
    setting = _resolve_declared(setting, question)
    _kept.refuse_unknown(setting)
    return replace(setting, named=_name(setting, question))


def _resolve_declared(setting: Setting, question: Question) -> Setting:
    """The versions of the author's environment, and the model without lines that nothing needs.

    Raises PlanError for lines of the author's machine that are needed.
    """
    needs = make_needs(question, setting.model)
    model, declared = _locks.resolve_declared(
        setting.request, setting.model, setting.candidate, needs.explain_wheelless
    )
    if not all(each.loader.alone for each in question.attempts):
        _refusals.refuse(_lines.list_refused(model, declared, needs.explain, needs.explain_unseen))
    return replace(setting, model=model, declared=declared)


def _name(setting: Setting, question: Question, imports: ModelImports | None = None) -> Named:
    """The distributions that the model's own files name. Raises PlanError for missing modules."""
    return _modules.name_distributions(
        setting.model,
        imports or question.imports,
        setting.declared,
        module_names(setting.request.target.facts_dir),
        shipped=_requirements.find_required(each.loader for each in question.attempts),
        kept=setting.request.slimming.keep_packages,
    )


_Locking: TypeAlias = tuple[Attempt, Setting, Future[_Locked]]


def _lock_all(setting: Setting, question: Question) -> list[_Locking]:
    """Each attempt, its setting and its lock: those with what serving needs come first."""
    slim = [
        each
        for each in question.attempts
        if _serving.is_known(setting, question.flavor, each.tier, each.loader)
    ]
    serving = [replace(each, shipped=Shipped.SERVING) for each in slim]
    every = _arrow.add_attempts([*serving, *question.attempts], question.text)
    light = setting
    if question.text.imports is not None:
        light = replace(setting, named=_name(setting, question, question.text.imports))
    lock_parser()  # each thread reads requirements
    with ThreadPoolExecutor(len(every)) as pool:  # the resolver waits for indexes
        return [
            (
                each,
                own := light if each.rewritten else setting,
                pool.submit(
                    _locks.lock,
                    own,
                    each.loader,
                    each.tier,
                    each.frame,
                    serving=each.shipped is Shipped.SERVING,
                ),
            )
            for each in every
        ]


def _plans(
    setting: Setting, question: Question, failures: Iterable[str]
) -> tuple[tuple[BuildPlan, ...], str]:
    """One plan for each attempt that resolves, the others named in their reasons.

    Beside them what the resolver said of the last that does not.
    """
    words = ""
    earlier = [f"Not taken: {line}" for line in (*question.refused, *dict.fromkeys(failures))]
    dropped: list[str] = []
    plans: list[BuildPlan] = []
    for each, own, resolved in _lock_all(setting, question):
        try:
            lock, decided = resolved.result()
        except PlanError as error:
            if each.rewritten:
                continue  # the same with pyarrow says why
            words = error.words if isinstance(error, UnresolvableError) else words
            is_served = any(plan.engine is Engine.NATIVE for plan in plans)
            if not _is_bearable(each, error, is_served=is_served):
                raise
            dropped += _explain_dropped(each, error)
            continue
        if not each.rewritten or lock.version(_arrow.ARROW) is None:
            plans.append(_make_plan(own, question, each, (lock, decided), earlier))
    named = [replace(plan, reasons=(*plan.reasons, *dropped)) for plan in plans]
    return _serving.drop_idle(named), words


def _make_plan(
    setting: Setting,
    question: Question,
    attempt: Attempt,
    locked: _Locked,
    earlier: Sequence[str],
) -> BuildPlan:
    """The plan of an attempt that resolves; `earlier` says what was not taken before it."""
    lock, _ = locked
    candidate, request, loader = setting.candidate, setting.request, attempt.loader
    model = _lines.tell_versions(setting.model, lock)
    said = _explain_plan(replace(setting, model=model), question, attempt, locked)
    return BuildPlan(
        request=request,
        model=model,
        flavor=question.flavor.name,
        engine=attempt.engine,
        tier=attempt.tier,
        frame=attempt.frame,
        loader=loader,
        target=setting.target.target,
        runtime=candidate.runtime,
        interpreter=candidate.interpreter,
        lock=lock,
        upgraded=_list_upgraded(setting, attempt, lock),
        shipped=attempt.shipped,
        kept_for=_serving.explain_each(setting, loader, lock),
        named=frozenset() if loader.alone else frozenset(setting.named.distributions),
        spared=_serving.list_spared(setting, loader, lock),
        spared_for=_serving.explain_spared(setting),
        unshipped=_serving.list_unshipped(setting, loader, lock),
        entry_groups=tuple(setting.named.groups),
        answered=() if loader.alone else tuple(setting.named.versions.items()),
        rewritten=attempt.rewritten,
        passes=_passes(request, setting.target.target, question.flavor.name),
        keep=(*request.slimming.keep, *setting.target.keep, *candidate.runtime.keep),
        reasons=(*candidate.reasons, *earlier, *said),
    )


def _explain_plan(
    setting: Setting, question: Question, attempt: Attempt, locked: _Locked
) -> tuple[str, ...]:
    """Say, in order, what an attempt is and what was decided on the way to its lock."""
    lock, decided = locked
    has_arrow = lock.version(_arrow.ARROW) is not None
    kind = question.flavor, attempt.engine, attempt.tier, attempt.frame
    return (
        *_reasons.explain_attempt(*kind, setting.model),
        *_reasons.explain_pickles(question.unpickled),
        *_reasons.explain_requirements(setting.model),
        *_names.explain_shadows(setting.model),
        *decided,
        *_upgrades.explain_upgraded(_list_upgraded(setting, attempt, lock)),
        *_serving.explain(attempt.shipped, setting, attempt.loader, lock),
        *_arrow.explain_text(attempt, question.text, has_arrow=has_arrow),
        *attempt.loader.notes,
    )


def _list_upgraded(setting: Setting, attempt: Attempt, lock: Lock) -> tuple[UpgradedPin, ...]:
    return () if attempt.loader.alone else _upgrades.list_upgraded(setting, lock)


def _is_bearable(attempt: Attempt, error: PlanError, *, is_served: bool) -> bool:
    """True where others may do without an attempt: those that resolve, or the framework's own.

    What refuses the full list alone, and no digest, may be about none of what ships.
    """
    if isinstance(error, UnresolvableError):
        return True
    return is_served and attempt.shipped is Shipped.DECLARED and type(error) is PlanError


def _explain_dropped(attempt: Attempt, error: PlanError) -> list[str]:
    kind = f"{attempt.tier}/{attempt.frame}"
    _LOG.debug("%s does not resolve: %s", kind, error)
    if attempt.shipped is not Shipped.DECLARED:
        return []
    if isinstance(error, UnresolvableError):
        cause = _reasons.quote_cause(error.words)
        return [f"{kind} is left out: its wheels do not resolve{cause and f' ({cause})'}."]
    return [f"{kind} with all that is listed is left out: {error}"]


def _passes(request: BuildRequest, target: Target, flavor: str) -> tuple[str, ...]:
    usual = _checks.PASSES
    if (request.target.device or target.machine.device) is Device.CUDA:
        usual = tuple(name for name in usual if name in _ANYWHERE)
    if flavor not in _PICKLED:
        usual = tuple(name for name in usual if name != PassName.WEIGHTS)
    wanted = usual if request.slimming.passes is None else request.slimming.passes
    return tuple(
        name
        for name in wanted
        if request.slimming.trace or name not in {PassName.TRACE, PassName.CUT}
    )


def _explain_none(setting: Setting, missing: tuple[str, ...], words: str) -> Outcome:
    runtime = setting.candidate.runtime
    what = (
        f"{NO_WHEEL} of {', '.join(missing)}"
        if missing
        else "no versions that go together have wheels"
    )
    if cause := _reasons.quote_cause(words):
        what += f" ({cause})"
    glibc = ".".join(map(str, runtime.glibc))
    why = f"{runtime.name} ({runtime.os}, glibc {glibc}, {setting.platform}): {what}."
    return Outcome(setting=setting, why=why, missing=missing)
