"""Requests to a booted function in rounds, each answer compared, and what the answers missed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from packager.errors import EmulatorError
from packager.pipeline.verify import stopped
from packager.pipeline.verify.answer_comparison import Comparison, Measure, compare_answer
from packager.pipeline.verify.missing import cold_store_misses, find_absent_modules, keep_rules
from packager.pipeline.verify.oracle import Recorded
from packager.probes import Probe
from packager.targets.hosts import Answered, Call, Host
from packager.types import BuildPlan, Bundle, Check, Distances, Finding, Replay

_LOG = logging.getLogger(__name__)
_COUNTED: Final = {"counted": True}
_REPORTED: Final = 5
"""Requests that differ and are named one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A booted function, and what each of its answers is held to."""

    function: Host
    bundle: Bundle
    plan: BuildPlan
    where: stopped.Where
    measure: Measure
    ask_why: Callable[[Call], Answered | None] = lambda _: None
    """Has another instance answer, with the traceback of what its model raises; None where none
    can: in errors of the first, as it will be deployed, there is nothing of the model's own."""

    def explain_stop(self, answer: Answered, name: str) -> tuple[Finding, ...]:
        return tuple(stopped.explain_stop(answer, name, self.function, self.bundle, self.where))

    def find_missed(self, text: str) -> Missed:
        removed, root = self.bundle.removed, self.bundle.root
        return Missed(
            rules=frozenset(keep_rules(text, removed, root)),
            absent=frozenset(find_absent_modules(text, removed, root, self.where.unshipped)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Files taken out, as keep-rules, and modules that nothing has, which a text asks for."""

    rules: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def __or__(self, other: Missed) -> Missed:
        return Missed(rules=self.rules | other.rules, absent=self.absent | other.absent)

    def list_findings(self) -> tuple[Finding, ...]:
        return (
            *(stopped.name_absent(name) for name in sorted(self.absent)),
            *(stopped.name_removed(rule) for rule in sorted(self.rules)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Answers to requests, one after the other, to the last or to one that ended it."""

    comparisons: tuple[Comparison, ...] = ()
    refused: frozenset[int] = frozenset()
    """Which of these the platform refused something: each is named."""
    missed: Missed = field(default_factory=Missed)
    ended: tuple[Finding, ...] | None = None
    """What ended it, beside the comparisons; None where all was asked."""
    notes: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    """Files that were asked of the compressed store, in that order."""
    unseen_misses: int = 0

    def followed_by(self, other: Round) -> Round:
        past = len(self.comparisons)
        return Round(
            comparisons=(*self.comparisons, *other.comparisons),
            refused=self.refused | {past + each for each in other.refused},
            missed=self.missed | other.missed,
            ended=other.ended,
            notes=(*self.notes, *other.notes),
            misses=self.misses if other.ended is not None else other.misses,
            unseen_misses=0 if other.ended is not None else len(other.misses) - len(self.misses),
        )

    def list_differing(self) -> tuple[Finding, ...]:
        """The first that differ, and each that was refused something."""
        wrong = [
            (each.finding, number in self.refused)
            for number, each in enumerate(self.comparisons)
            if each.finding is not None
        ]
        return tuple(
            finding
            for number, (finding, refused) in enumerate(wrong)
            if number < _REPORTED or refused
        )


def compare_all(
    trial: Trial, probes: Sequence[Probe], answers: Sequence[Recorded]
) -> tuple[Round, tuple[Finding, ...]]:
    """Ask all, those last that nothing was slimmed by; and what is wrong."""
    pairs = list(zip(probes, answers, strict=True))
    done = Round()
    for unseen in (False, True):
        asked = [pair for pair in pairs if pair[0].unseen is unseen]
        before = len(pairs) - len(asked) if unseen else 0
        done = done.followed_by(_replay_probes(trial, asked, before, len(pairs)))
        if done.ended is not None:
            return done, (*done.list_differing(), *done.ended)
    _LOG.info("Replayed %d of %d requests", len(pairs), len(pairs))
    findings = done.list_differing()
    count = sum(each.finding is not None for each in done.comparisons)
    if count:
        missed = done.missed | trial.find_missed(trial.function.log())
        findings = (*findings, *missed.list_findings())
    if count > _REPORTED:
        more = f"{count - _REPORTED} more requests of {len(probes)} differ."
        findings = (*findings, Finding(check=Check.REPLAY, message=more, hint=""))
    return done, findings


def _explain_finding(
    finding: Finding, answer: Answered, trial: Trial
) -> tuple[Finding, Missed, stopped.Refused]:
    """The finding with what the model raised, what the answer misses, and what it was refused."""
    text = stopped.read_trace(answer)
    missed = trial.find_missed(text)
    told = stopped.Refused() if missed.rules else stopped.name_refused(answer, trial.where)
    return stopped.blame_place(stopped.name_exception(finding, text), told), missed, told


def _ask_why(trial: Trial, call: Call, answer: Answered, *, asks: bool) -> Answered:
    """The answer with all that the function says of it, where that is asked for and is known."""
    return (trial.ask_why(call) if asks else None) or answer


def _replay_probes(
    trial: Trial, pairs: Sequence[tuple[Probe, Recorded]], before: int, total: int
) -> Round:
    """Compare each, until the function is gone or is refused something.

    `before` of `total` requests were replayed already.
    """
    limits = trial.plan.target.limits
    most = min(limits.request_bytes, limits.response_bytes)
    comparisons: list[Comparison] = []
    missed, notes = Missed(), []
    ended: tuple[Finding, ...] | None = None
    refused: frozenset[int] = frozenset()
    explained = False
    for number, (probe, expected) in enumerate(pairs):
        _LOG.info("Replayed %d of %d requests", before + number, total, extra=_COUNTED)
        call = Call.of(probe)
        if max(trial.function.size_bytes(call), len(expected.body)) > most:
            notes.append(f"{probe.name} was not sent: it is larger than the target allows.")
            continue
        try:
            answer = trial.function.ask(call)
        except EmulatorError as error:
            ended = (stopped.name_gone(probe.name, error),)
            break
        if answer.failure is not None:
            ended = trial.explain_stop(answer, probe.name)
            break
        compared = compare_answer(probe, expected, answer, trial.measure)
        if compared.finding is not None:
            failed = answer.status >= 400 > expected.status
            whole = _ask_why(trial, call, answer, asks=failed and not explained)
            explained = explained or failed
            finding, asked_for, told = _explain_finding(compared.finding, whole, trial)
            missed |= asked_for
            compared = replace(compared, finding=finding)
            if told.words:
                # every other request would be refused it too
                refused, ended = frozenset({len(comparisons)}), ()
        comparisons.append(compared)
        if ended is not None:
            break
    return Round(
        comparisons=tuple(comparisons),
        refused=refused,
        missed=missed,
        ended=ended,
        notes=tuple(notes),
        misses=() if ended is not None else cold_store_misses(trial.function.log()),
    )


def count_comparisons(done: Round) -> Replay:
    held = [each for each in done.comparisons if not each.not_held]
    seen = [each for each in held if not each.unseen]
    unseen = [each for each in held if each.unseen]
    return Replay(
        rows_compared=sum(each.rows for each in seen),
        requests_compared=len(seen),
        max_abs_error=max((each.error for each in done.comparisons), default=0.0),
        differences=sum((each.distances for each in done.comparisons), Distances()),
        mismatches=sum(each.finding is not None for each in done.comparisons),
        refusals_agreed=sum(each.refused for each in done.comparisons),
        unseen_rows=sum(each.rows for each in unseen),
        unseen_requests=len(unseen),
        cold_store_misses=done.misses,
        unseen_cold_store_misses=done.unseen_misses,
    )
