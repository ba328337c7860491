from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import product
from typing import Final

from packager import facts, targets
from packager.environments import resolver_memory
from packager.errors import PackagerError, PlanError
from packager.facts import devices
from packager.facts.modules import conda_names
from packager.models import flavors
from packager.models.model_imports import read_model_imports
from packager.pipeline.plan import (
    _attempts,
    _checks,
    _locked_plans,
    _names,
    _python,
    _switches,
    _ways_out,
)
from packager.pipeline.plan._attempts import Attempt
from packager.pipeline.plan._locked_plans import Outcome, Question
from packager.pipeline.plan._python import Candidates
from packager.pipeline.plan._ways_out import Refused
from packager.pipeline.plan.requirements import _arrow, _conda, _lines, _refusals
from packager.types import (
    BuildPlan,
    BuildRequest,
    ResolvedModel,
    Target,
)

_LOG: Final = logging.getLogger(__name__)


def check(request: BuildRequest) -> Target:
    """Refuse what can be refused before anything is fetched; return the target.

    Raises UnknownTargetError, FactsError, or ConfigurationError for all other settings together.
    """
    target = targets.load_for(request.target)
    _checks.settings(request, target)
    return target


def _warn_of_age(request: BuildRequest, target: Target, today: date) -> None:
    """Say in one line which facts and prices that a build goes by were last read long ago."""
    device = request.target.device or target.machine.device
    old = facts.list_old(target.name, device, today, request.target.facts_dir)
    if old:
        _LOG.warning("%s", facts.describe_old(old, today))


def plan(
    request: BuildRequest, model: ResolvedModel, target: Target, *, today: date | None = None
) -> tuple[BuildPlan, ...]:
    """The attempts, the slimmest first: the first that verification proves is what ships.

    `target` is what `check` returned for the request. What is refused by an answer of the resolver
    that was kept is planned once more, with the index asked. Raises PlanError where nothing
    serves this model there (with every pin that has no wheel), InterpreterNotFoundError where the
    Python is not on this machine, ToolError where the package index does not answer.
    """
    day = today or datetime.now(UTC).date()
    _warn_of_age(request, target, day)
    try:
        return _plan_once(request, model, target, day)
    except PackagerError:
        if not resolver_memory.drop_taken():
            raise
    return _plan_once(request, model, target, day)


def _plan_once(
    request: BuildRequest, model: ResolvedModel, target: Target, day: date
) -> tuple[BuildPlan, ...]:
    _checks.size(model, target, request.target.weights, request.engine.kind)
    conda = conda_names(request.target.facts_dir)
    model = _lines.settle_lines(model, conda)
    _refusals.check(model, trusted=request.model.trust_model_index)
    flavor = flavors.choose(model)
    attempts, refused = _attempts.list_attempts(flavor, model, request, target)
    clashes = _names.find_clashes(model, target)
    if clashes:
        attempts, more = _attempts.leave_framework(attempts, clashes)
        refused = (*refused, *more)
    unpickled = _attempts.list_unpickled(attempts)
    _switches.check_switches(
        model, _attempts.list_unpickled(_attempts.list_native(flavor, model, request.engine.tier))
    )
    candidates = _python.candidates(request, model, target, unpickled, day)
    builds = devices.builds(
        request.target.device or target.machine.device,
        request.target.driver,
        request.target.facts_dir,
    )
    imports = read_model_imports(model, [each.loader for each in attempts])
    question = Question(
        request=request,
        target=_locked_plans.extend_target(request, target, builds),
        builds=builds,
        flavor=flavor,
        attempts=attempts,
        refused=refused,
        unpickled=unpickled,
        imports=imports,
        text=_arrow.find_text(model, attempts, request, imports),
    )
    if not all(each.loader.alone for each in attempts):
        needs = _locked_plans.make_needs(question, model)
        model = _conda.settle_packages(model, conda, needs.explain_listed)
    return _plan_anywhere(question, model, candidates, day)


def _plan_anywhere(
    question: Question, model: ResolvedModel, candidates: Candidates, day: date
) -> tuple[BuildPlan, ...]:
    """Plan under the first Python that has wheels. Raises PlanError where none has."""
    request = question.request
    outcomes: list[Outcome] = []
    compiled: tuple[BuildPlan, ...] = ()
    failures: dict[str, None] = {}
    # other versions than the author's only where no Python of the target's has wheels of these
    variants = _lines.list_variants(model, request.target.architecture)
    any_serves = bool(request.engine.kind) or not _has_framework(question.attempts)
    for (variant, strict), candidate in product(variants, candidates.found):
        found = _locked_plans.plan_under(
            question, variant, candidate, strict=strict, failures=failures
        )
        if found.plans and (any_serves or _has_framework(found.plans)):
            return _join_plans(compiled, found.plans)
        compiled = compiled or found.plans
        outcomes.append(found)
        if found.why:
            failures[found.why] = None
    if compiled and not request.model.upgrade_pins:
        return compiled
    upgraded = _locked_plans.plan_upgraded(question, outcomes, [*failures])
    if upgraded and request.model.upgrade_pins:
        return upgraded
    if compiled:
        return compiled
    refusal = Refused(
        question=question,
        model=model,
        candidates=candidates,
        outcomes=tuple(outcomes),
        upgraded=upgraded,
        today=day,
    )
    raise PlanError(_ways_out.explain_refusal(refusal))


def _join_plans(
    compiled: tuple[BuildPlan, ...], plans: tuple[BuildPlan, ...]
) -> tuple[BuildPlan, ...]:
    """Plans of which those of a library keep the first Python: it needs no framework's wheels."""
    return (*compiled, *(each for each in plans if not (compiled and each.loader.alone)))


def _has_framework(found: Iterable[Attempt | BuildPlan]) -> bool:
    """Tell whether the framework serves there: a compiled model alone may turn out not to."""
    return any(not each.loader.alone for each in found)
