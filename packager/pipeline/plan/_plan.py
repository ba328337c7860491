from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Final, TypeAlias

from packaging.utils import canonicalize_name

from packager import engines, targets
from packager.errors import ConfigurationError, PlanError, UnresolvableError
from packager.facts import devices
from packager.facts.modules import conda_names, module_names
from packager.models import flavors
from packager.models.model_imports import ModelImports, read_model_imports
from packager.pipeline.plan import (
    _checks,
    _lines,
    _locks,
    _modules,
    _names,
    _python,
    _reasons,
    _refusals,
    _requirements,
    _serving,
    _switches,
    _wheels,
)
from packager.pipeline.plan._locks import Setting
from packager.pipeline.plan._modules import Named, Needs
from packager.pipeline.plan._python import Candidates
from packager.types import (
    BuildPlan,
    BuildRequest,
    Device,
    EffectiveTarget,
    Engine,
    Flavor,
    Frame,
    LoaderSpec,
    Lock,
    PassName,
    ResolvedModel,
    Shipped,
    Target,
    Tier,
)

_LOG = logging.getLogger(__name__)
_ANYWHERE: Final = frozenset({PassName.WEIGHTS, PassName.PRUNE, PassName.BYTECODE})
"""Passes that leave compiled code alone: of what is for a GPU, a CPU's replay would see no harm."""
_Locked: TypeAlias = tuple[Lock, tuple[str, ...]]
_NO_WHEEL: Final = "no wheel"
_PICKLED: Final = frozenset({"sentence_transformers", "transformers"})
"""Flavors whose library reads weights from either a pickle or safetensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    engine: Engine = Engine.NATIVE
    tier: Tier
    frame: Frame
    loader: LoaderSpec
    shipped: Shipped = Shipped.DECLARED


def check(request: BuildRequest) -> Target:
    """Refuse what can be refused before anything is fetched; return the target.

    Raises UnknownTargetError, FactsError, or ConfigurationError for all other settings together.
    """
    target = targets.load(request.target.name, request.target.facts_dir)
    _checks.settings(request, target)
    return target


def extend_target(request: BuildRequest, target: Target, builds: devices.Builds) -> EffectiveTarget:
    """Return the target with what this build adds to it."""
    more = target.program.telemetry if request.http.opentelemetry else None
    return EffectiveTarget(
        target=target,
        requires=(
            *target.required_for(request.events.sources),
            *(more.requires if more else ()),
            *builds.requires,
        ),
        keep=(*target.program.keep, *(more.keep if more else ())),
    )


def plan(
    request: BuildRequest, model: ResolvedModel, target: Target, *, today: date | None = None
) -> tuple[BuildPlan, ...]:
    """The attempts, the slimmest first: the first that verification proves is what ships.

    `target` is what `check` returned for the request. Raises PlanError where nothing
    serves this model there (with every pin that has no wheel), InterpreterNotFoundError where the
    Python is not on this machine, ToolError where the package index does not answer.
    """
    _checks.size(model, target)
    model = _lines.settle_lines(model, conda_names(request.target.facts_dir))
    _refusals.check(model, trusted=request.model.trust_model_index)
    flavor = flavors.choose(model)
    attempts, refused = _engines(flavor, model, request)
    clashes = _names.find_clashes(model, target)
    if clashes and any(each.loader.alone for each in attempts):
        # a compiled model imports nothing of the author's
        attempts = tuple(each for each in attempts if each.loader.alone)
    else:
        _names.refuse_clashes(clashes)
    unpickled = _list_unpickled(attempts)
    _switches.check_switches(model, _list_unpickled(_attempts(flavor, model, request.engine.tier)))
    day = today or datetime.now(UTC).date()
    candidates = _python.candidates(request, model, target, unpickled, day)
    builds = devices.builds(
        request.target.device or target.machine.device,
        request.target.driver,
        request.target.facts_dir,
    )
    effective = extend_target(request, target, builds)
    imports = read_model_imports(model, [each.loader for each in attempts])
    failures: list[str] = []
    # other versions than the author's only where no Python of the target's has wheels of these
    variants = _lines.list_variants(model, request.target.architecture)
    for (variant, strict), candidate in product(variants, candidates.found):
        runtime = candidate.runtime
        own = runtime.python_minor, runtime.platforms[request.target.architecture]
        if bad := list(_wheels.unfit(model.requirements.lines, *own)):
            failures.append(
                f"{runtime.name} on {own[1]}: the model brings {', '.join(bad)}, which cannot be "
                "installed there. Bring wheels for that Python and Linux, or such as run anywhere."
            )
            continue
        _LOG.info("Resolving wheels for %s", runtime.name)
        setting = Setting(
            request=request,
            model=variant,
            target=effective,
            builds=builds,
            candidate=candidate,
            declared={},
            strict=strict,
        )
        setting = _resolve_declared(setting, flavor, attempts, imports)
        setting = replace(setting, named=_name(setting, attempts, imports))
        plans, words = _plans(
            setting, flavor, attempts, unpickled, (*refused, *dict.fromkeys(failures))
        )
        if plans:
            return plans
        failures.append(_why_not(setting, attempts[-1], words))
    raise PlanError(_nothing(model, target, candidates, [*dict.fromkeys(failures)]))


def _resolve_declared(
    setting: Setting, flavor: Flavor, attempts: Sequence[_Attempt], imports: ModelImports
) -> Setting:
    """The versions of the author's environment, and the model without lines that nothing needs.

    Raises PlanError for lines of the author's machine that are needed.
    """
    request = setting.request
    needs = Needs(
        model=setting.model,
        imports=imports,
        names=module_names(request.target.facts_dir),
        required=_requirements.find_required(each.loader for each in attempts),
        kept=frozenset(map(canonicalize_name, request.slimming.keep_packages)),
        is_known=flavor.name in _serving.KNOWN,
    )
    model, declared = _locks.resolve_declared(
        request, setting.model, setting.candidate, needs.explain_wheelless
    )
    if not all(each.loader.alone for each in attempts):
        _refusals.refuse(_lines.list_refused(model, declared, needs.explain, needs.explain_unseen))
    return replace(setting, model=model, declared=declared)


def _name(setting: Setting, attempts: Sequence[_Attempt], imports: ModelImports) -> Named:
    """The distributions that the model's own files name. Raises PlanError for missing modules."""
    return _modules.name_distributions(
        setting.model,
        imports,
        setting.declared,
        module_names(setting.request.target.facts_dir),
        shipped=_requirements.find_required(each.loader for each in attempts),
        kept=setting.request.slimming.keep_packages,
    )


def _list_unpickled(attempts: Sequence[_Attempt]) -> tuple[str, ...]:
    return tuple(sorted({name for each in attempts for name in each.loader.unpickled}))


def _engines(
    flavor: Flavor, model: ResolvedModel, request: BuildRequest
) -> tuple[tuple[_Attempt, ...], tuple[str, ...]]:
    """The attempts of every engine that was asked for, and why one is left out."""
    asked = request.engine.kind
    if flavor.name == engines.ALREADY and asked is not Engine.MACHINE_CODE:
        return _passed_through(_attempts(flavor, model, request.engine.tier), asked), ()
    alone = asked not in {None, Engine.NATIVE}
    native = () if alone else _attempts(flavor, model, request.engine.tier)
    if asked is Engine.NATIVE:
        return native, ()
    engine = asked or Engine.ONNX
    why = engines.why_not(model, flavor.name, engine)
    if why and alone:
        raise ConfigurationError(
            f"--engine {engine}: {why}. Build with --engine native, or auto to fall back to it."
        )
    if why:
        return native, (f"engine {engine}: {why}.",)
    compiled = _Attempt(
        engine=engine,
        tier=Tier.NATIVE,
        frame=Frame.NUMPY,
        loader=engines.loader(engine, request.target.facts_dir),
    )
    return (compiled, *native), ()


def _passed_through(native: tuple[_Attempt, ...], engine: Engine | None) -> tuple[_Attempt, ...]:
    """A model that is a graph already: the loader of its flavor is the engine."""
    if engine is Engine.NATIVE:
        return native
    graphs = (replace(each, engine=Engine.ONNX) for each in native if each.tier is Tier.NATIVE)
    others = (each for each in native if each.tier is not Tier.NATIVE and engine is None)
    return (*graphs, *others)


def _attempts(flavor: Flavor, model: ResolvedModel, only: Tier | None) -> tuple[_Attempt, ...]:
    if only is not None and only not in flavor.tiers:
        raise ConfigurationError(
            f"--tier {only}: the flavor {flavor.name} has no such tier for this model. "
            f"There are: {', '.join(flavor.tiers)}."
        )
    pairs = [
        (tier, frame)
        for tier in flavor.tiers
        if only in {None, tier}
        for frame in (flavor.frames(model) if tier is Tier.NATIVE else (Frame.PANDAS,))
    ]
    return tuple(
        _Attempt(tier=tier, frame=frame, loader=flavor.read(model, tier, frame))
        for tier, frame in pairs
    )


def _lock_all(
    setting: Setting, flavor: Flavor, attempts: Sequence[_Attempt]
) -> list[tuple[_Attempt, Future[_Locked]]]:
    """Each attempt and its lock: those with what serving needs come first, where that is known."""
    slim = [each for each in attempts if _serving.is_known(setting, flavor, each.tier, each.loader)]
    every = [*(replace(each, shipped=Shipped.SERVING) for each in slim), *attempts]
    with ThreadPoolExecutor(len(every)) as pool:  # the resolver waits for indexes
        return [
            (
                each,
                pool.submit(
                    _locks.lock,
                    setting,
                    each.loader,
                    each.tier,
                    each.frame,
                    serving=each.shipped is Shipped.SERVING,
                ),
            )
            for each in every
        ]


def _plans(
    setting: Setting,
    flavor: Flavor,
    attempts: tuple[_Attempt, ...],
    unpickled: tuple[str, ...],
    failures: Sequence[str],
) -> tuple[tuple[BuildPlan, ...], str]:
    """One plan for each attempt that resolves, the others named in their reasons.

    Beside them what the resolver said of the last that does not.
    """
    words = ""
    candidate, request, target = setting.candidate, setting.request, setting.target.target
    earlier = [f"Not taken: {line}" for line in failures]
    dropped: list[str] = []
    plans: list[BuildPlan] = []
    for each, resolved in _lock_all(setting, flavor, attempts):
        try:
            lock, decided = resolved.result()
        except UnresolvableError as error:
            _LOG.debug("%s/%s does not resolve: %s", each.tier, each.frame, error.words)
            words = error.words
            if each.shipped is Shipped.DECLARED:
                dropped.append(f"{each.tier}/{each.frame} is left out: its wheels do not resolve.")
            continue
        reasons = (
            *candidate.reasons,
            *earlier,
            *_reasons.explain_attempt(flavor, each.engine, each.tier, each.frame, setting.model),
            *_reasons.explain_pickles(unpickled),
            *_reasons.explain_requirements(setting.model),
            *_names.explain_shadows(setting.model),
            *decided,
            *_serving.explain(each.shipped, setting, each.loader, lock),
            *each.loader.notes,
            *dropped,
        )
        plans.append(
            BuildPlan(
                request=request,
                model=setting.model,
                flavor=flavor.name,
                engine=each.engine,
                tier=each.tier,
                frame=each.frame,
                loader=each.loader,
                target=target,
                runtime=candidate.runtime,
                interpreter=candidate.interpreter,
                lock=lock,
                shipped=each.shipped,
                kept_for=_serving.explain_each(setting, each.loader, lock),
                unshipped=_serving.list_unshipped(setting, each.loader, lock),
                answered=() if each.loader.alone else tuple(setting.named.versions.items()),
                passes=_passes(request, target, flavor.name),
                keep=(*request.slimming.keep, *setting.target.keep),
                reasons=reasons,
            )
        )
    return _serving.drop_idle(plans), words


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


def _why_not(setting: Setting, attempt: _Attempt, words: str) -> str:
    runtime = setting.candidate.runtime
    missing = _locks.unavailable(setting, attempt.loader, attempt.frame)
    what = (
        f"{_NO_WHEEL} of {', '.join(missing)}"
        if missing
        else "no versions that go together have wheels"
    )
    if cause := _reasons.quote_cause(words):
        what += f" ({cause})"
    glibc = ".".join(map(str, runtime.glibc))
    return f"{runtime.name} ({runtime.os}, glibc {glibc}, {setting.platform}): {what}."


def _nothing(
    model: ResolvedModel, target: Target, candidates: Candidates, failures: list[str]
) -> str:
    lines = "\n".join(f"  - {line}" for line in failures)
    text = f"No set of wheels serves this model on {target.name}:\n{lines}\n"
    if unused := model.requirements.unused_indexes:
        text += (
            f"The model names {', '.join(unused)}, which was not asked: your own configuration "
            "does not name it. --trust-model-index would use it.\n"
        )
    if any(_NO_WHEEL in line for line in failures):
        text += (
            "A package without a wheel is not built here, as its own code would run on this "
            "machine: build a wheel with `pip wheel` and list it as code/NAME.whl.\n"
        )
    if candidates.bound is not None:
        return (
            f"{text}{candidates.bound[0].upper()}{candidates.bound[1:]}, so it stays with Python "
            f"{model.python_version}.\n{_python.ways_out(target)}"
        )
    return (
        f"{text}Log the model again with versions that have wheels, choose another Python with "
        f"--python, or use the target {target.way_out}."
    )
