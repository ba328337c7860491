"""Boot the artifact as its target would and hold every answer to the registered model's."""

from __future__ import annotations

import functools
import json
import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packager.errors import EmulatorError
from packager.pipeline import sizes
from packager.pipeline.answers.spread import describe_spread, measure_spread
from packager.pipeline.function_variables import list_boot_variables
from packager.pipeline.layout import lay_out
from packager.pipeline.verify import stopped
from packager.pipeline.verify.answer_comparison import (
    Measure,
    compare_answer,
    compare_message,
)
from packager.pipeline.verify.answer_rounds import Round, Trial, compare_all, count_comparisons
from packager.pipeline.verify.oracle import Recorded
from packager.pipeline.verify.row_times import SIZES, measure_by_rows
from packager.probes import Probe, of_sizes
from packager.system import file_tree, sandbox
from packager.targets.hosts import (
    HOSTS,
    PING,
    Answered,
    Boot,
    Call,
    Delivers,
    Host,
    LocalWeights,
    ProcessStats,
)
from packager.targets.lambda_emulator import choose_interpreter
from packager.targets.processor_emulation import EMULATION_MB, SLOWER
from packager.types import (
    BuildPlan,
    Bundle,
    Check,
    ColdStart,
    EmulatedPython,
    Finding,
    Replay,
    Weights,
)

_LOG = logging.getLogger(__name__)

_WARM: Final = 7
_JSON: Final = "application/json"
_MEMORY_MB: Final = 1024
_TIMEOUT_SECONDS: Final = 60
_ONE_THREAD: Final = (
    "The model is held to one thread, on both sides of the comparison and where it is served: "
    "several add up in the order in which they finish, and last digits move."
)


_UNTIMED: Final = "No time or memory was measured: an emulated processor's tell nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Result of a replay: what was compared, and what is wrong."""

    replay: Replay
    findings: tuple[Finding, ...] = ()


def memory_mb(plan: BuildPlan) -> int:
    """Return the memory of the function that is replayed; of several processes, one's."""
    if plan.target.machine.instances:
        return _MEMORY_MB
    return plan.request.target.memory_mb or _MEMORY_MB


def prepare_boot(plan: BuildPlan, folder: Path, bundle: Bundle | None = None) -> Boot:
    """As its deployment would start it, with the weights of `bundle` where they lie outside."""
    request = plan.request
    outside = bundle if bundle is not None and bundle.weights_root is not None else None
    target = request.target
    interpreter = choose_interpreter(plan.interpreter, target.architecture, target.arm64_python)
    seconds = request.target.timeout_seconds or _TIMEOUT_SECONDS
    limit_mb = request.target.memory_mb or _most_memory_mb(plan)
    if interpreter.emulated is not None:
        seconds = max(seconds, _TIMEOUT_SECONDS) * SLOWER
        limit_mb = None if limit_mb is None else limit_mb + EMULATION_MB
    return Boot(
        folder=folder,
        interpreter=interpreter,
        entrypoint=plan.target.program.entrypoint,
        memory_mb=memory_mb(plan),
        # where nobody has chosen, the size follows from what is measured here
        memory_limit_mb=limit_mb,
        network=request.model.allow_network,
        timeout_seconds=seconds,
        provided=plan.provided,
        brings_client=plan.runtime.brings_client,
        weights=_find_weights(plan, outside),
        tmp_mb=None if outside is None else sizes.choose_tmp_mb(outside, plan),
        env=list_boot_variables(plan),
    )


def _find_weights(plan: BuildPlan, outside: Bundle | None) -> LocalWeights | None:
    if outside is None or outside.weights_root is None:
        return None
    fetched = plan.weights_way is not Weights.MOUNT
    return LocalWeights(folder=outside.weights_root, fetched=fetched)


def check(
    bundle: Bundle,
    plan: BuildPlan,
    probes: Sequence[Probe],
    answers: Sequence[Recorded],
    work: Path,
) -> Replayed:
    """Send every probe; with none, ask for /ping, so that it is known to boot.

    `work` takes the folder as it is deployed, where that is more than the tree. Raises
    EmulatorError where the host itself does not come up.
    """
    folder = lay_out(bundle.root, plan, work / "function")
    boot = prepare_boot(plan, folder, bundle)
    emulated = boot.interpreter.emulated
    host = HOSTS[plan.target.program.host](boot)
    where = stopped.describe_where(plan, (bundle.root, folder))
    measure = _choose_measure(plan, answers, emulated)
    with host as function:
        trial = Trial(
            function=function,
            bundle=bundle,
            plan=plan,
            where=where,
            measure=measure,
            ask_why=functools.partial(_ask_with_details, plan, folder, bundle),
        )
        protections = function.protections()
        done, cold_start, doors, findings = _ask_all(trial, probes, answers, timed=emulated is None)
    snapshot = ""
    snapshot, findings = _start_from_snapshot(trial, folder, probes, answers, findings)
    read_only, changed = _compare_tree(bundle, folder / plan.target.tree.home, host.read_only)
    replay = replace(
        count_comparisons(done),
        spread=measure.spread,
        cold_start=cold_start,
        read_only=read_only,
        host=f"{host.about}{_describe_emulation(emulated)}",
        protections=protections,
        emulated="" if emulated is None else emulated.version,
        doors=doors,
        snapshot=snapshot,
        notes=(
            *([_ONE_THREAD] if plan.threads == 1 else []),
            *_note_emulation(emulated, measure),
            *describe_spread(measure.spread),
        ),
    )
    replay = replace(replay, notes=(*replay.notes, *done.notes))
    return Replayed(replay=replay, findings=(*findings, *changed))


def _ask_all(
    trial: Trial, probes: Sequence[Probe], answers: Sequence[Recorded], *, timed: bool
) -> tuple[Round, ColdStart | None, str, tuple[Finding, ...]]:
    """Send every probe by every way in; (round, times, which doors were asked, what is wrong).

    What an emulated processor takes tells nothing of the real one's time: it is not `timed`.
    """
    _LOG.info("Replaying %d requests against the booted function", len(probes))
    function, plan = trial.function, trial.plan
    first = Call.of(probes[0]) if probes else PING
    name = probes[0].name if probes else PING.path
    answer = function.ask(first)
    start = function.stats()
    done, cold_start, doors = Round(), None, ""
    if answer.failure:
        findings = trial.explain_stop(answer, name)
    else:
        done, findings = compare_all(trial, probes, answers)
        if not findings:
            cold_start = _measure_cold_start(function, first, answer, start) if timed else None
            doors, findings = _deliver_all(trial, probes, answers)
            cold_start = cold_start and _time_rows(function, plan, cold_start)
    limit = function.read_exceeded() if findings else ""
    if limit and not any(limit in each.message for each in findings):
        findings = (*findings, stopped.name_limit(limit))
    return done, cold_start, doors, findings


def _start_from_snapshot(
    trial: Trial,
    folder: Path,
    probes: Sequence[Probe],
    answers: Sequence[Recorded],
    findings: tuple[Finding, ...],
) -> tuple[str, tuple[Finding, ...]]:
    """Start it once more as SnapStart would, and compare one answer by each way in.

    ("", findings) where something is wrong already or then, where its runtime is not started from
    snapshots, or where nothing was answered that can be compared.
    """
    answered = zip(probes, answers, strict=True)
    chosen = {probe.door: (probe, each) for probe, each in answered if each.status == 200}
    if findings or not chosen or not trial.plan.runtime.snapstart:
        return "", findings
    _LOG.info("Starting it as from a snapshot")
    boot = replace(prepare_boot(trial.plan, folder, trial.bundle), snapshot=True)
    found: list[Finding] = []
    with HOSTS[trial.plan.target.program.host](boot) as function:
        again = replace(trial, function=function)
        for probe, expected in chosen.values():
            answer = function.ask(Call.of(probe))
            if answer.failure is not None:
                found += again.explain_stop(answer, probe.name)
                break
            compared = compare_answer(probe, expected, answer, trial.measure).finding
            found += [] if compared is None else [compared]
    if found:
        said = "Started as from a snapshot (SnapStart): "
        return "", tuple(replace(each, message=f"{said}{each.message}") for each in found)
    return f"its hooks ran, and {' and '.join(sorted(chosen))} answered the same", ()


def _ask_with_details(plan: BuildPlan, folder: Path, bundle: Bundle, call: Call) -> Answered | None:
    """Ask another instance, whose errors tell of the model's exception; None where it cannot be."""
    boot = prepare_boot(plan, folder, bundle)
    boot = replace(boot, env={**boot.env, "PACKAGER_ERROR_DETAILS": "1"})
    try:
        with HOSTS[plan.target.program.host](boot) as function:
            # a direct invoke tells nothing of it, whatever is set
            return function.ask(replace(call, door="http", content_type=call.content_type or _JSON))
    except EmulatorError as error:
        _LOG.debug("Nothing more is known of %s: %s", call.path, error)
        return None


def _choose_measure(
    plan: BuildPlan, answers: Sequence[Recorded], emulated: EmulatedPython | None = None
) -> Measure:
    if plan.upgraded:
        return Measure()  # of other versions than the author's every bit counts
    spread = measure_spread((each.body, *each.again) for each in answers if each.again)
    if plan.compiled is not None:
        return Measure(spread=spread, tolerance=plan.compiled.tolerance)
    # a framework's sums are written for each processor apart
    tolerance = None if emulated is None else plan.request.engine.tolerance
    return Measure(spread=spread, tolerance=tolerance)


def _note_emulation(emulated: EmulatedPython | None, measure: Measure) -> tuple[str, ...]:
    if emulated is None:
        return ()
    if measure.tolerance is None:
        return (_UNTIMED,)
    rtol, atol = measure.tolerance
    compared = (
        "The registered model answered on this machine's processor and the artifact on an emulated "
        "one, which may round last digits otherwise: numbers were compared within a relative "
        f"difference of {rtol:g} and an absolute one of {atol:g}, labels exactly."
    )
    return (compared, _UNTIMED)


def _describe_emulation(emulated: EmulatedPython | None) -> str:
    if emulated is None:
        return ""
    return (
        f" Its processor was emulated: {emulated.version} as {emulated.options[-1]}, in "
        f"{emulated.source}."
    )


def _most_memory_mb(plan: BuildPlan) -> int | None:
    """Return what the target gives at most; None where this machine has less."""
    most = plan.target.limits.memory_mb[1]
    return most if most << 20 < sandbox.machine_memory_bytes() else None


def _deliver_all(
    trial: Trial, probes: Sequence[Probe], answers: Sequence[Recorded]
) -> tuple[str, tuple[Finding, ...]]:
    """One message by each event source: its answers are those of a request."""
    function, sources = trial.function, trial.plan.request.events.sources
    if not sources or not isinstance(function, Delivers):
        return "", ()
    asked = next(filter(None, map(_deliverable, probes, answers)), None)
    if asked is None:
        return "no recorded request can be a message: no source was asked", ()
    body, wanted = asked
    findings: tuple[Finding, ...] = ()
    try:
        for source in sources:
            came = function.deliver(source, body)
            findings += compare_message(source, came, wanted, trial.measure)
    except EmulatorError as error:
        return "", (*findings, stopped.name_gone("a message", error))
    if findings:
        return "", findings
    return f"one message each by {', '.join(sources)}: answered as over HTTP", ()


def _deliverable(probe: Probe, recorded: Recorded) -> tuple[bytes, object] | None:
    """A request's body and its predictions, where a message can carry both."""
    if probe.door != "direct" or recorded.status != 200:
        return None
    body = json.loads(recorded.body, parse_constant=lambda _: None)
    if not isinstance(body, dict) or "predictions" not in body or "NaN" in recorded.body:
        return None
    return probe.body, body["predictions"]


def _measure_cold_start(
    function: Host, first: Call, answer: Answered, start: ProcessStats
) -> ColdStart:
    """`start` is of the moment after the first answer: until then nothing but it had run."""
    warm = [function.ask(first).seconds for _ in range(_WARM)]
    return ColdStart(
        init_wall_ms=start.init_wall_ms,
        init_cpu_ms=start.cpu_ms,
        first_invoke_ms=max(0.0, answer.seconds * 1000 - start.init_wall_ms),
        warm_invoke_ms=statistics.median(warm) * 1000,
        peak_rss_bytes=function.stats().peak_rss_bytes,
        response_bytes=len(answer.text.encode()),
    )


def _time_rows(function: Host, plan: BuildPlan, cold_start: ColdStart) -> ColdStart:
    """Add the times by rows; last of all, as what is asked here is compared with nothing."""
    sized = of_sizes(plan.model, SIZES, plan.request.proof.seed)
    return replace(cold_start, invoke_ms_by_rows=measure_by_rows(function, sized))


def _compare_tree(bundle: Bundle, home: Path, how: str) -> tuple[str, tuple[Finding, ...]]:
    """Compare the tree with what it was before it ran."""
    before = {file.path: file.sha256 for file in bundle.files}
    after = {file.path: file.sha256 for file in file_tree.records(home)}
    changed = sorted(path for path in before | after if before.get(path) != after.get(path))
    if not changed:
        return f"{how}; all {len(before)} files were as before after the replay", ()
    finding = Finding(
        check=Check.READ_ONLY,
        message=f"Running it changed {', '.join(map(str, changed[:5]))} "
        f"({len(changed)} files in all); once deployed, the folder cannot be written.",
        hint="Let the model's code write to /tmp.",
    )
    return f"{how}; {len(changed)} files changed in the replay", (finding,)
