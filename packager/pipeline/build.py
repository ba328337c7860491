"""A model URI goes in, a deployable artifact comes out; half of one is never left behind."""

from __future__ import annotations

import contextlib
import functools
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from packaging.utils import canonicalize_name

from packager.commands.artifact.supply_chain.requirers import read_requirers
from packager.engines import compile_model, fetch_tools
from packager.environments import resolver_memory
from packager.environments.disk_room import warn_of_room
from packager.errors import (
    ConfigurationError,
    PackagerError,
    UnprovenError,
    UpgradeUnprovenError,
    VerificationError,
)
from packager.facts.modules import ModuleNames, module_names
from packager.models.registry import ModelRegistry
from packager.pipeline import baseline
from packager.pipeline.bisect import BlamelessError, without_cause
from packager.pipeline.emit import emit
from packager.pipeline.output import reuse
from packager.pipeline.output.inputs import make_key
from packager.pipeline.output.place import check_place
from packager.pipeline.package import package
from packager.pipeline.plan import check, check_provable, plan
from packager.pipeline.resolve import resolve
from packager.pipeline.slim import Begun, begin_slimming, has_same_tree, leaves_memory, slim
from packager.pipeline.verify import (
    EarlyAnswers,
    ask_model,
    ask_rows_early,
    asking_early,
    verify,
    work_ahead,
    work_for_later,
)
from packager.system import atomic_output, cache, process
from packager.targets.images.base_images import PinnedImage, pin_image
from packager.types import (
    BESIDE,
    Audit,
    BuildPlan,
    BuildReport,
    BuildRequest,
    Check,
    Engine,
    Finding,
    Frame,
    Provided,
    ResolvedModel,
    Shipped,
    Stage,
    SupplyChainOptions,
    Tier,
    VerifiedBundle,
    change_request,
)

_LOG = logging.getLogger(__name__)
_KEEP_ROUNDS: Final = 3
_KILLED_AGAIN_SECONDS: Final = 0.05
_Beside: TypeAlias = Callable[[Callable[[BuildPlan], None], BuildPlan], object]
"""Has work of a plan's done in a thread."""


_SAID: Final = {
    Stage.RESOLVE: "Reading the model",
    Stage.PLAN: "Choosing versions and wheels",
    Stage.ASK: "Asking the registered model",
    Stage.SLIM: "Installing and slimming",
    Stage.VERIFY: "Proving that it answers the same",
    Stage.PACKAGE: "Packing",
    Stage.EMIT: "Writing what goes with it",
}


_ATTEMPT: Final = {"attempt": True}
"""Of the record that says what is tried now."""


_PLANNED: Final = (Stage.RESOLVE, Stage.PLAN)
"""All stages of what is planned and not built."""


def begin_stage(stage: Stage, among: tuple[Stage, ...] = tuple(Stage)) -> None:
    """Say that it begins: who shows the progress reads `stage` and `stages` from the record."""
    _LOG.info("%s", _SAID[stage], extra={"stage": stage, "stages": among})


def build(
    request: BuildRequest,
    registry: ModelRegistry,
    *,
    take_model: Callable[[ResolvedModel], ResolvedModel] = lambda each: each,
    take_proof: Callable[[VerifiedBundle], VerifiedBundle] = lambda each: each,
    pin_base: Callable[[str], PinnedImage] = pin_image,
    answer_audit: Callable[[Mapping[str, str]], Audit] | None = None,
) -> BuildReport:
    """Run all six stages; the output folder appears whole, or stays as it was.

    `take_model` and `take_proof` may refuse the resolved model and the proven bundle, or give what
    stands for it in the stages after. `answer_audit` answers what is known of distributions, name
    to version, in place of the service. Raises PackagerError (see packager.errors for each way to
    stop).
    """
    with _planning(request, registry, take_model, pin_base) as (model, attempts, place):
        _check_end(request, model, attempts)
        report = _build_planned(attempts, place, take_proof, answer_audit)
    return move_paths(report, place.out, request.output.folder)


def build_or_reuse(request: BuildRequest, registry: ModelRegistry) -> Provided:
    """Build, or take the artifact of an earlier build of the very same inputs, if one is kept.

    `request.output.reuse` says whether one may be taken, and `supply_chain.refresh_audit` that none
    is, as its audit is of before; what is built is kept in any case. Raises what `build` raises.
    """
    final = request.output.folder
    with _planning(request, registry) as (model, attempts, place):
        baseline.check_table(request, model)
        key = make_key(attempts)
        may_take = request.output.reuse and not request.supply_chain.refresh_audit
        said = reuse.take_kept(key, place, final) if may_take else ""
        if not said:
            _check_end(request, model, attempts)
            report = _build_planned(attempts, place)
            if not report.lacks_audit:  # the next build asks again
                reuse.keep_artifact(key, place.out)
        resolved = resolver_memory.explain_age()
    if said:
        _LOG.info("%s", said)
    return Provided(folder=final, reused=said, resolved=resolved)


@contextlib.contextmanager
def _planning(
    request: BuildRequest,
    registry: ModelRegistry,
    take_model: Callable[[ResolvedModel], ResolvedModel] = lambda each: each,
    pin_base: Callable[[str], PinnedImage] = pin_image,
) -> Iterator[tuple[ResolvedModel, tuple[BuildPlan, ...], atomic_output.Place]]:
    """Yield the first two stages' results; the place's output becomes the output folder.

    Raises ConfigurationError for a size of the cache that is none.
    """
    target = check(request)
    check_place(request)
    cache.read_limit()
    warn_of_room(request.output.folder)
    with (
        _bounding_cache(),
        atomic_output.replacing(request.output.folder) as place,
        _resolving(request),
    ):
        begin_stage(Stage.RESOLVE)
        model = take_model(resolve(request, registry, place.stage("model")))
        begin_stage(Stage.PLAN)
        yield model, _pin_bases(plan(request, model, target), pin_base), place


@contextlib.contextmanager
def _bounding_cache() -> Iterator[None]:
    """Have the cache within its limit once the block has ended, well or not; an interrupt ends."""
    try:
        yield
    except Exception:
        cache.keep_within_limit()
        raise
    cache.keep_within_limit()


@contextlib.contextmanager
def _resolving(request: BuildRequest) -> Iterator[None]:
    """Have a failure of the block drop what the resolver had said before: next time it is asked."""
    with resolver_memory.asking_index(anew=request.output.refresh or not request.output.reuse):
        try:
            yield
        except PackagerError:
            resolver_memory.drop_taken()
            raise


def _build_planned(
    attempts: Sequence[BuildPlan],
    place: atomic_output.Place,
    take_proof: Callable[[VerifiedBundle], VerifiedBundle] = lambda each: each,
    answer_audit: Callable[[Mapping[str, str]], Audit] | None = None,
) -> BuildReport:
    """Run the other four stages."""
    with _working_beside() as beside:
        for work in (work_ahead, fetch_tools):
            beside(work, attempts[0])
        with _asking_early(attempts[0]) as early:
            attempt, verified = _first_proven(attempts, place, beside, early)
    verified = take_proof(verified)
    verified = _judge_supply_chain(verified, attempt, answer_audit)
    begin_stage(Stage.PACKAGE)
    artifact = package(verified, attempt, place.out)
    begin_stage(Stage.EMIT)
    return emit(artifact, verified, attempt, place.out)


def _pin_bases(
    attempts: tuple[BuildPlan, ...], pin_base: Callable[[str], PinnedImage]
) -> tuple[BuildPlan, ...]:
    """The same attempts, an image's base pinned to the digest that `pin_base` gives.

    Where none is given, a note says so: the digest of a base is nothing that a build fails for.
    """
    pinned = {each: pin_base(each) for each in {attempt.base_image for attempt in attempts}}
    for each in pinned.values():
        if each.why_not:
            _LOG.warning("%s", each.why_not)
    return tuple(
        replace(
            attempt,
            base_digest=pinned[attempt.base_image].digest,
            reasons=(*attempt.reasons, *filter(None, [pinned[attempt.base_image].why_not])),
        )
        for attempt in attempts
    )


def _judge_supply_chain(
    verified: VerifiedBundle,
    attempt: BuildPlan,
    answer_audit: Callable[[Mapping[str, str]], Audit] | None,
) -> VerifiedBundle:
    """The same bundle with what is known of its packages. Raises SupplyChainError."""
    if attempt.request.supply_chain == SupplyChainOptions():
        return verified
    from packager.commands.artifact.supply_chain.policy import (  # noqa: PLC0415 - seldom asked for
        hold_to_policy,
    )

    bundle, target = verified.bundle, attempt.request.target
    requirers = read_requirers(bundle.root, attempt.runtime.python_minor, target.architecture)
    chain = hold_to_policy(bundle, attempt.request.supply_chain, requirers, answer_audit)
    return replace(verified, supply_chain=chain)


@contextlib.contextmanager
def _working_beside() -> Iterator[_Beside]:
    """Yield what has work done in a thread, into the cache, where the stages then find it.

    What fails there is done again by who needs it, and raised then.
    """
    pool = ThreadPoolExecutor(1, BESIDE)

    def do(work: Callable[[BuildPlan], None], plan: BuildPlan) -> None:
        try:
            work(plan)
        except PackagerError as error:
            _LOG.debug("Not done beforehand: %s", error)

    try:
        yield lambda work, plan: pool.submit(do, work, plan)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        process.kill_current()  # the interpreter waits for a thread before it ends
        raise
    pool.shutdown()


def _warn_of_folder(folder: Path) -> None:
    """Warn of a folder that a build would not replace: a plan is read without one."""
    try:
        atomic_output.refuse_foreign(folder)
    except ConfigurationError as error:
        _LOG.warning("The build itself would stop: %s", error)


@contextlib.contextmanager
def plan_build(
    request: BuildRequest,
    registry: ModelRegistry,
    *,
    as_built: bool = False,
    stages: tuple[Stage, ...] = _PLANNED,
) -> Iterator[tuple[ResolvedModel, tuple[BuildPlan, ...], atomic_output.Place]]:
    """The first two stages alone, in a folder that goes away: for --dry-run, inspect and serve.

    With `as_built` what a build could not prove is refused, as it is by `build`. `stages` are those
    that the caller goes through in all.
    """
    target = check(request)
    if as_built:
        check_place(request)
        cache.read_limit()
        _warn_of_folder(request.output.folder.absolute())
        atomic_output.check_writable(request.output.folder.absolute())
    with atomic_output.scratch() as place, _resolving(request):
        begin_stage(Stage.RESOLVE, stages)
        model = resolve(request, registry, place.stage("model"))
        begin_stage(Stage.PLAN, stages)
        attempts = plan(request, model, target)
        if as_built:
            _check_end(request, model, attempts)
        yield model, attempts, place


def _check_end(request: BuildRequest, model: ResolvedModel, attempts: Sequence[BuildPlan]) -> None:
    """Refuse, before anything is installed, what a build would meet at its end.

    Raises UnprovenError, and ConfigurationError for a file of --baseline that cannot be used.
    """
    baseline.check_table(request, model)
    try:
        check_provable(request, model, attempts)
    except PackagerError:
        # an answer that was kept refuses nobody
        if not resolver_memory.drop_taken():
            raise
        check_provable(request, model, attempts)


def _first_proven(
    attempts: Sequence[BuildPlan],
    place: atomic_output.Place,
    beside: _Beside,
    early: EarlyAnswers | None,
) -> tuple[BuildPlan, VerifiedBundle]:
    """The first attempt that every check passes; what the earlier ones failed on is kept.

    Where none does, each is asked once more: it may be slimming that is at fault.
    """
    failed: list[tuple[BuildPlan, VerificationError]] = []
    waiting, widened = [*attempts], 0
    while waiting:
        attempt = waiting.pop(0)
        number = len(failed)
        folder = place.stage(f"attempt-{number}")
        total = len(failed) + 1 + len(waiting)
        _LOG.info("Attempt %d of %d: %s", number + 1, total, _label(attempt), extra=_ATTEMPT)
        begin_stage(Stage.ASK)
        try:
            if attempt.engine is not Engine.NATIVE:
                ask_early = functools.partial(ask_rows_early, early, attempt)
                attempt = compile_model(attempt, folder, ask_early)
            attempt, begun = _ask_beside_slimming(attempt, folder, early)
            beside(work_for_later, attempt)
            found = _proven(attempt, folder, begun)
        except UnprovenError as error:
            if attempt.upgraded:
                raise UpgradeUnprovenError(error.why) from error
            raise
        except VerificationError as error:
            for tree in folder.glob("round-*"):
                shutil.rmtree(tree, ignore_errors=True)
            failed.append((attempt, error))
            waiting = _leave_out_engine(waiting, attempt, error)
            if not _may_do_better(attempt, error):
                raise _with_history(failed) from error
            why = " ".join(f"{error.findings[0].check}: {error.findings[0].message}".split())
            _LOG.warning("Attempt %d of %d is given up: %s", number + 1, total, why)
            if widened < _KEEP_ROUNDS and (wider := _widen(attempt, error)):
                widened += 1
                waiting.insert(0, wider)
            continue
        return _note_attempts(found, failed)
    return _first_blamed(failed, place)


def _leave_out_engine(
    waiting: list[BuildPlan], attempt: BuildPlan, error: VerificationError
) -> list[BuildPlan]:
    """The attempts that are left once one failed: without its engine, if that could not compile.

    An engine compiles the model no other way for another frame.
    """
    if not any(finding.check is Check.ENGINE for finding in error.findings):
        return waiting
    return [each for each in waiting if each.engine is not attempt.engine]


def _first_blamed(failed: _Failed, place: atomic_output.Place) -> tuple[BuildPlan, VerifiedBundle]:
    """The first attempt that slimming was at fault for. Raises VerificationError."""
    for number, (attempt, wrong) in enumerate(failed):
        if any(finding.check is Check.ENGINE for finding in wrong.findings):
            continue
        if attempt.shipped is Shipped.SERVING and len(failed) > 1:
            continue  # the same was tried with all that is listed
        try:
            found = _rebuild_without_cause(attempt, place.stage(f"blame-{number}"), wrong)
        except BlamelessError:
            continue
        return _note_attempts(found, failed[:number])
    raise _with_history(failed)


@contextlib.contextmanager
def _asking_early(attempt: BuildPlan) -> Iterator[EarlyAnswers | None]:
    """Yield what asks the model while it is compiled; None where both at once take much memory."""
    if not leaves_memory(attempt):
        yield None
        return
    with asking_early(attempt) as early:
        yield early


def _ask_beside_slimming(
    attempt: BuildPlan, folder: Path, early: EarlyAnswers | None
) -> tuple[BuildPlan, Begun | None]:
    """Ask the registered model, while a thread slims as far as no answer of it decides.

    The tree is None where the model is too large for both at once, or where the answers changed
    what is installed. Raises what asking raises, else what slimming raises.
    """
    if not leaves_memory(attempt):
        return baseline.measure_baseline(_ask_model(attempt, early)), None
    work, unwanted = _name_work(folder, 0), threading.Event()
    work.mkdir(parents=True)
    with ThreadPoolExecutor(1, f"{BESIDE}-slimming") as pool:
        beginning = pool.submit(begin_slimming, attempt, work, lambda: not unwanted.is_set())
        try:
            asked = baseline.measure_baseline(_ask_model(attempt, early))
            if not has_same_tree(attempt, asked):
                unwanted.set()
            beginning.exception()  # waited for here: nothing writes once an interrupt has come
        except BaseException:
            unwanted.set()
            _end_work(beginning)
            raise
    if unwanted.is_set():
        shutil.rmtree(work)
        return asked, None
    return asked, beginning.result()


def _end_work(running: Future[Begun]) -> None:
    """Wait for it, and end each program that it has started or still starts."""
    while not running.done():
        process.kill_current()
        wait([running], _KILLED_AGAIN_SECONDS)


def _name_work(folder: Path, round_: int) -> Path:
    """Return the folder that a round slims in."""
    return folder / f"round-{round_}" / "slim"


def _ask_model(attempt: BuildPlan, early: EarlyAnswers | None) -> BuildPlan:
    """The attempt once its model was asked, with what declares entry points that its code asks for.

    Raises what `plan` and `ask_model` raise.
    """
    asked = ask_model(attempt, early)
    if asked.shipped is Shipped.DECLARED:
        return asked
    missed = tuple(sorted(asked.declaring.keys() & {*asked.unshipped}))
    why = {name: f"it declares entry points of {asked.declaring[name]}" for name in missed}
    wider = _add_packages(attempt, why)
    return ask_model(wider) if wider else asked


def _widen(attempt: BuildPlan, error: VerificationError) -> BuildPlan | None:
    """The same attempt with what its proof missed of the author's environment; None for nothing.

    Raises what `plan` raises.
    """
    missed = _find_missed(attempt, error)
    return _add_packages(attempt, dict.fromkeys(missed, "added when the replay missed it"))


def _add_packages(attempt: BuildPlan, why: Mapping[str, str]) -> BuildPlan | None:
    """The same attempt with more of the author's environment; None for nothing, and in vain."""
    if not why:
        return None
    request = attempt.request
    wider = replace(
        change_request(request, keep_packages=(*request.slimming.keep_packages, *why)),
        added_packages=(*request.added_packages, *why),
    )
    wider_plans = plan(wider, attempt.model, attempt.target)
    same = [each for each in wider_plans if _kind(each) == _kind(attempt)]
    if not same or not why.keys() <= same[0].kept_for.keys():
        return None
    _LOG.info("Needed after all, so installed: %s", ", ".join(why))
    kept_for = {**same[0].kept_for, **why}
    return replace(same[0], kept_for=kept_for, base_digest=attempt.base_digest)


def _kind(attempt: BuildPlan) -> tuple[Engine, Tier, Frame, bool]:
    return attempt.engine, attempt.tier, attempt.frame, bool(attempt.rewritten)


def _find_missed(attempt: BuildPlan, error: VerificationError) -> tuple[str, ...]:
    """Distributions of the author's environment that were asked for, by name or by module."""
    absent = {finding.absent for finding in error.findings if finding.absent}
    if not absent:
        return ()
    names = module_names(attempt.request.target.facts_dir)
    missed: set[str] = set()
    for asked in absent:
        known = [name for name in attempt.unshipped if _is_asked_for(name, asked, names)]
        alike = [name for name in attempt.unshipped if names.may_have(name, asked)]
        missed.update(known or alike)
    return tuple(sorted(missed))


def _is_asked_for(name: str, asked: str, names: ModuleNames) -> bool:
    wanted = f"{asked}.".lower()
    return canonicalize_name(asked) == name or any(
        wanted.startswith(f"{module}.".lower()) for module in names.modules_of(name)
    )


def _label(attempt: BuildPlan) -> str:
    compiled = attempt.engine is not Engine.NATIVE
    set_ = ", what serving needs" if attempt.shipped is Shipped.SERVING else ""
    text = ", text without pyarrow" if attempt.rewritten else ""
    return str(attempt.engine) if compiled else f"{attempt.tier}/{attempt.frame}{set_}{text}"


def _proven(
    attempt: BuildPlan, folder: Path, begun: Begun | None
) -> tuple[BuildPlan, VerifiedBundle]:
    """Slim and verify; what is found missing becomes a keep-rule, a bounded number of times.

    `begun` is the tree of the first round, as far as it was slimmed while the model was asked.
    """
    for round_ in range(_KEEP_ROUNDS):
        slimming = _name_work(folder, round_)
        work = slimming.parent
        slimming.mkdir(parents=True, exist_ok=begun is not None)
        (work / "verify").mkdir()
        begin_stage(Stage.SLIM)
        bundle = slim(attempt, slimming, begun) if begun else slim(attempt, slimming)
        begun = None
        begin_stage(Stage.VERIFY)
        try:
            return attempt, verify(bundle, attempt, work / "verify")
        except VerificationError as error:
            missing = {finding.missing for finding in error.findings if finding.missing}
            rules = tuple(sorted(missing - set(attempt.keep)))
            if not rules or round_ + 1 == _KEEP_ROUNDS:
                raise
            if any(finding.check is Check.BUDGET for finding in error.findings):
                # what is missing would only make it larger
                rest = [finding for finding in error.findings if finding.missing not in rules]
                raise VerificationError(rest, error.rejected) from error
            _LOG.info("Needed after all, so kept: %s", ", ".join(rules))
            attempt = replace(attempt, keep=(*attempt.keep, *rules))
            shutil.rmtree(work, ignore_errors=True)
    raise AssertionError("the last round returns or raises")


def _rebuild_without_cause(
    attempt: BuildPlan, folder: Path, error: VerificationError
) -> tuple[BuildPlan, VerifiedBundle]:
    """The attempt without the pass or the files that made it fail. Raises BlamelessError."""

    def prove(plan: BuildPlan) -> VerifiedBundle:
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("slim", "verify"):
            (folder / name).mkdir(parents=True)
        begin_stage(Stage.SLIM)
        bundle = slim(plan, folder / "slim")
        begin_stage(Stage.VERIFY)
        return verify(bundle, plan, folder / "verify")

    return without_cause(attempt, prove, error.findings[0].message)


def _may_do_better(attempt: BuildPlan, error: VerificationError) -> bool:
    """Tell whether another attempt could: not where the tree itself is at fault.

    Attempts by the framework hold more, one after the other: no later one fits where one does not.
    """
    if attempt.engine is Engine.NATIVE and any(
        finding.check is Check.BUDGET for finding in error.findings
    ):
        return False
    return any(finding.check.retryable for finding in error.findings)


_Failed: TypeAlias = Sequence[tuple[BuildPlan, VerificationError]]


def _note_attempts(
    found: tuple[BuildPlan, VerifiedBundle], failed: _Failed
) -> tuple[BuildPlan, VerifiedBundle]:
    attempt, verified = found
    tried = tuple(f"{_label(plan)}: {error.findings[0].message}" for plan, error in failed)
    return attempt, replace(verified, evidence=replace(verified.evidence, tried=tried))


def _with_history(failed: _Failed) -> VerificationError:
    *earlier, (_, error) = failed
    if not earlier:
        return error
    tried = tuple(
        Finding(
            check=Check.TRIED_BEFORE,
            message=f"{_label(plan)}: {before.findings[0].message}",
            hint="",
        )
        for plan, before in earlier
    )
    return VerificationError((*error.findings, *tried), error.rejected)


def move_paths(report: BuildReport, out: Path, final: Path) -> BuildReport:
    """Return the same report, its paths where the output folder lies now."""
    artifact = replace(
        report.artifact,
        path=final / report.artifact.path.relative_to(out),
        folder=final / report.artifact.folder.relative_to(out),
    )
    emitted = tuple(final / path.relative_to(out) for path in report.emitted)
    return replace(report, artifact=artifact, emitted=emitted)
