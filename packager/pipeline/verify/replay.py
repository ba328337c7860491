"""Boot the artifact as its target would and hold every answer to the registered model's."""

from __future__ import annotations

import json
import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.errors import EmulatorError
from packager.pipeline.answers.comparison import Difference, places
from packager.pipeline.answers.spread import describe_spread, measure_spread, read_unexplained
from packager.pipeline.function_variables import list_boot_variables
from packager.pipeline.layout import lay_out
from packager.pipeline.verify import stopped
from packager.pipeline.verify.missing import cold_store_misses, find_absent_modules, keep_rules
from packager.pipeline.verify.oracle import Recorded
from packager.probes import Probe
from packager.system import file_tree, sandbox
from packager.targets.hosts import HOSTS, PING, Answered, Boot, Call, Delivers, Host, ProcessStats
from packager.types import BuildPlan, Bundle, Check, ColdStart, Finding, Json, Spread

_LOG = logging.getLogger(__name__)

_REPORTED: Final = 5
"""Requests that differ and are named one by one."""
_DIFFERENCES: Final = 3
"""Of one request."""
_WARM: Final = 7
_MEMORY_MB: Final = 1024
_TIMEOUT_SECONDS: Final = 60


@dataclass(slots=True, kw_only=True)
class Replayed:
    """Result of a replay; filled while it runs, read when it is done."""

    findings: list[Finding] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    rows: int = 0
    requests: int = 0
    unseen_rows: int = 0
    unseen_requests: int = 0
    refusals: int = 0
    misses: tuple[str, ...] = ()
    """Files that were asked of the cold store, in that order."""
    unseen_misses: int = 0
    """Of these, by requests that nothing was slimmed by."""
    mismatches: int = 0
    max_abs_error: float = 0.0
    cold_start: ColdStart | None = None
    read_only: str = ""
    protections: tuple[str, ...] = ()
    """What held while it ran."""
    host: str = ""
    """What it ran in, in a sentence."""
    where: stopped.Where = field(default_factory=stopped.Where)
    doors: str = ""
    """By which sources a message was answered, in a sentence; empty where there are none."""
    spread: Spread = field(default_factory=Spread)
    """Of the registered model's own answers, where they part."""
    notes: list[str] = field(default_factory=list)
    tolerance: tuple[float, float] | None = None
    """Relative and absolute, of a compiled model's numbers; None asks for every bit."""


def memory_mb(plan: BuildPlan) -> int:
    """Return the memory of the function that is replayed."""
    return plan.request.target.memory_mb or _MEMORY_MB


def prepare_boot(plan: BuildPlan, folder: Path) -> Boot:
    """As its deployment would start it."""
    request = plan.request
    return Boot(
        folder=folder,
        interpreter=plan.interpreter,
        entrypoint=plan.target.entrypoint,
        memory_mb=memory_mb(plan),
        # where nobody has chosen, the size follows from what is measured here
        memory_limit_mb=request.target.memory_mb or _most_memory_mb(plan),
        network=request.model.allow_network,
        timeout_seconds=request.target.timeout_seconds or _TIMEOUT_SECONDS,
        provided=plan.provided,
        env=list_boot_variables(plan),
    )


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
    request = plan.request
    done = Replayed(tolerance=(request.engine.rtol, request.engine.atol) if plan.compiled else None)
    folder = lay_out(bundle.root, plan, work / "function")
    host = HOSTS[plan.target.name](prepare_boot(plan, folder))
    done.host = host.about
    done.where = stopped.describe_where(plan, (bundle.root, folder))
    with host as function:
        done.protections = function.protections()
        _LOG.info("Replaying %d requests against the booted function", len(probes))
        first = Call.of(probes[0]) if probes else PING
        name = probes[0].name if probes else PING.path
        answer = function.ask(first)
        start = function.stats()
        if answer.failure:
            done.findings += stopped.explain_stop(answer, name, function, bundle, done.where)
        else:
            _compare_all(function, bundle, plan, probes, answers, done)
            if not done.findings:
                done.cold_start = _measure_cold_start(function, first, answer, start)
                if isinstance(function, Delivers):
                    _deliver_all(function, plan, probes, answers, done)
        limit = function.read_exceeded() if done.findings else ""
        if limit and not any(limit in each.message for each in done.findings):
            done.findings.append(stopped.name_limit(limit))
    done.read_only = _compare_tree(bundle, folder / plan.target.home, host.read_only, done)
    return done


def _most_memory_mb(plan: BuildPlan) -> int | None:
    """Return what the target gives at most; None where this machine has less."""
    most = plan.target.limits.memory_mb[1]
    return most if most << 20 < sandbox.machine_memory_bytes() else None


def _compare_all(
    function: Host,
    bundle: Bundle,
    plan: BuildPlan,
    probes: Sequence[Probe],
    answers: Sequence[Recorded],
    done: Replayed,
) -> None:
    rules: set[str] = set()
    done.spread = measure_spread((each.body, *each.again) for each in answers if each.again)
    done.notes += describe_spread(done.spread)
    pairs = list(zip(probes, answers, strict=True))
    for unseen in (False, True):
        before = len(done.misses)
        asked = [pair for pair in pairs if pair[0].unseen is unseen]
        if not _replay_probes(function, bundle, plan, asked, done, rules):
            return
        done.misses = cold_store_misses(function.log())
        done.unseen_misses = len(done.misses) - before
    if done.mismatches:
        rules |= set(keep_rules(function.log(), bundle.removed, bundle.root))
        done.absent |= {*find_absent_modules(function.log(), bundle.removed, bundle.root)}
        done.findings += [stopped.name_absent(name) for name in sorted(done.absent)]
        done.findings += [stopped.name_removed(rule) for rule in sorted(rules)]
    if done.mismatches > _REPORTED:
        more = f"{done.mismatches - _REPORTED} more requests of {len(probes)} differ."
        done.findings.append(Finding(check=Check.REPLAY, message=more, hint=""))


def _replay_probes(
    function: Host,
    bundle: Bundle,
    plan: BuildPlan,
    pairs: Sequence[tuple[Probe, Recorded]],
    done: Replayed,
    rules: set[str],
) -> bool:
    """Compare each; whether the function is still there. `rules` gets what would keep a file."""
    limits = plan.target.limits
    for probe, expected in pairs:
        call = Call.of(probe)
        if max(function.size_bytes(call), len(expected.body)) > min(
            limits.request_bytes, limits.response_bytes
        ):
            done.notes.append(f"{probe.name} was not sent: it is larger than the target allows.")
            continue
        try:
            answer = function.ask(call)
        except EmulatorError as error:
            done.findings.append(stopped.name_gone(probe.name, error))
            return False
        if answer.failure is not None:
            done.findings += stopped.explain_stop(answer, probe.name, function, bundle, done.where)
            return False
        found = _compare_answer(probe, expected, answer, done)
        if found is not None:
            done.mismatches += 1
            missed = keep_rules(answer.text, bundle.removed, bundle.root)
            done.absent |= {*find_absent_modules(answer.text, bundle.removed, bundle.root)}
            rules |= set(missed)
            refused = stopped.Refused() if missed else stopped.name_refused(answer, done.where)
            if done.mismatches <= _REPORTED or refused.words:
                done.findings.append(stopped.blame_place(found, refused))
            if refused.words:
                # every other request would be refused it too
                return False
    return True


def _compare_answer(
    probe: Probe, expected: Recorded, actual: Answered, done: Replayed
) -> Finding | None:
    """Count one comparison; a Finding where the answers are not the same."""
    done.requests += not probe.unseen
    done.unseen_requests += probe.unseen
    if expected.status != 200:
        # a direct invocation has no status: it fails, and that is what is compared
        agreed = actual.status == expected.status or (
            probe.door == "direct" and actual.status != 200
        )
        if agreed:
            done.refusals += 1
            return None
    if actual.status != expected.status:
        got = f"{actual.status} ({actual.words})" if actual.words else f"{actual.status}"
        return _differs(f"{probe.name}: expected status {expected.status}, got {got}.")
    wanted = json.loads(expected.body)
    found, near = read_unexplained(wanted, actual.body, done.spread)
    if done.tolerance is not None:
        near += [each for each in found if each.within(*done.tolerance)]
        found = [each for each in found if not each.within(*done.tolerance)]
    done.max_abs_error = max([done.max_abs_error, *(each.error for each in near)])
    if not found:
        # an answer that is random throughout shows nothing
        rows = 0 if places(wanted) <= done.spread.chance.keys() else probe.rows
        done.rows += 0 if probe.unseen else rows
        done.unseen_rows += rows if probe.unseen else 0
        return None
    done.max_abs_error = max(done.max_abs_error, *(each.error for each in found))
    return _differs(f"{probe.name}: {_format_differences(found)}.")


def _deliver_all(
    function: Delivers,
    plan: BuildPlan,
    probes: Sequence[Probe],
    answers: Sequence[Recorded],
    done: Replayed,
) -> None:
    """`_deliver`, of a function that may end over a message."""
    try:
        _deliver(function, plan, probes, answers, done)
    except EmulatorError as error:
        done.findings.append(stopped.name_gone("a message", error))


def _deliver(
    function: Delivers,
    plan: BuildPlan,
    probes: Sequence[Probe],
    answers: Sequence[Recorded],
    done: Replayed,
) -> None:
    """One message by each event source: its answers are those of a request."""
    if not plan.request.events.sources:
        return
    asked = next(filter(None, map(_deliverable, probes, answers)), None)
    if asked is None:
        done.doors = "no recorded request can be a message: no source was asked"
        return
    body, wanted = asked
    for source in plan.request.events.sources:
        came = function.deliver(source, body)
        if came.failure is not None or not came.answers:
            why = came.failure or "nothing was sent to the destination"
            done.findings.append(_differs(f"a message of {source}: {why}"))
            continue
        for answer in came.answers:
            said = {"predictions": answer.get("predictions")}
            found, _ = read_unexplained({"predictions": wanted}, said, done.spread)
            if done.tolerance is not None:
                found = [each for each in found if not each.within(*done.tolerance)]
            if found:
                done.findings.append(
                    _differs(f"a message of {source}: {_format_differences(found)}.")
                )
    done.doors = (
        f"one message each by {', '.join(plan.request.events.sources)}: answered as over HTTP"
    )


def _deliverable(probe: Probe, recorded: Recorded) -> tuple[bytes, Json] | None:
    """A request's body and its predictions, where a message can carry both."""
    if probe.door != "direct" or recorded.status != 200:
        return None
    body = json.loads(recorded.body, parse_constant=lambda _: None)
    if not isinstance(body, dict) or "predictions" not in body or "NaN" in recorded.body:
        return None
    return probe.body, body["predictions"]


def _format_differences(found: Sequence[Difference]) -> str:
    shown = "; ".join(str(each) for each in found[:_DIFFERENCES])
    more = len(found) - _DIFFERENCES
    return f"{shown}; and {more} more" if more > 0 else shown


def _differs(message: str) -> Finding:
    return Finding(
        check=Check.REPLAY,
        message=message,
        hint="The artifact must answer as the registered model does.",
    )


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


def _compare_tree(bundle: Bundle, home: Path, how: str, done: Replayed) -> str:
    """Compare the tree with what it was before it ran."""
    before = {file.path: file.sha256 for file in bundle.files}
    after = {file.path: file.sha256 for file in file_tree.records(home)}
    changed = sorted(path for path in before | after if before.get(path) != after.get(path))
    if changed:
        done.findings.append(
            Finding(
                check=Check.READ_ONLY,
                message=f"Running it changed {', '.join(map(str, changed[:5]))} "
                f"({len(changed)} files in all); once deployed, the folder cannot be written.",
                hint="Let the model's code write to /tmp.",
            )
        )
        return f"{how}; {len(changed)} files changed in the replay"
    return f"{how}; all {len(before)} files were as before after the replay"
