"""Stage 4: a bundle that fits, that the target can load, and that answers as the model does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packager.errors import UnprovenError, VerificationError
from packager.pipeline.answers.samples import choose_samples
from packager.pipeline.answers.spread import describe_outputs
from packager.pipeline.verify import ask, budget, cuda, linkage, replay, shadowing
from packager.pipeline.verify.ask import (
    ask_model,
    ask_rows_early,
    asking_early,
    work_ahead,
    work_for_later,
)
from packager.pipeline.verify.oracle import Answers
from packager.pipeline.verify.oracle_runs import EarlyAnswers
from packager.pipeline.verify.system_libraries import (
    describe_lacking,
    list_lacking,
    name_origin,
)
from packager.probes import NOTHING_TO_REPLAY, Probe
from packager.types import (
    BuildPlan,
    Bundle,
    Check,
    Evidence,
    Finding,
    RejectedBundle,
    Replay,
    ReplaySample,
    VerifiedBundle,
)

__all__ = [
    "EarlyAnswers",
    "ask_model",
    "ask_rows_early",
    "asking_early",
    "verify",
    "work_ahead",
    "work_for_later",
]

_LOG = logging.getLogger(__name__)


def verify(bundle: Bundle, plan: BuildPlan, work: Path) -> VerifiedBundle:
    """Run every check; replay is left out where the libraries would not load anyway.

    Raises VerificationError with all findings, or UnprovenError where nothing could be compared
    and `request.proof.allow_unproven` is not set.
    """
    _LOG.info("Checking size and shared libraries")
    findings, sentence = budget.check(bundle, plan)
    unlinked, sentences = linkage.check(bundle, plan)
    shadowed, about = shadowing.check(plan)
    if about:
        sentences["shadowing"] = about
    accelerated, about = cuda.check(bundle, plan)
    if about:
        sentences["cuda"] = about
    evidence = Evidence(
        proven=False,
        seed=plan.request.proof.seed,
        imports=bundle.imports,
        engine={} if plan.compiled is None else plan.compiled.evidence,
        notes=tuple(budget.list_left_out_notes(bundle, plan)),
        checks={"budget": sentence, **sentences},
    )
    lacking = list_lacking(bundle, plan)
    if unlinked or shadowed or accelerated:
        unlinked = name_origin(unlinked, lacking)
        raise VerificationError((*findings, *unlinked, *shadowed, *accelerated))
    try:
        evidence, more, samples = _proven(bundle, plan, evidence, work)
    except UnprovenError as error:
        if findings:
            raise VerificationError(findings) from error
        raise
    if lacking:
        evidence = replace(evidence, notes=(*evidence.notes, describe_lacking(lacking)))
    if findings := [*findings, *name_origin(more, lacking)]:
        rejected = RejectedBundle(plan=plan, unzipped_bytes=bundle.size_bytes, evidence=evidence)
        raise VerificationError(findings, rejected)
    return VerifiedBundle(bundle=bundle, evidence=evidence, samples=samples)


def _proven(
    bundle: Bundle, plan: BuildPlan, evidence: Evidence, work: Path
) -> tuple[Evidence, list[Finding], tuple[ReplaySample, ...]]:
    """Compare what can be compared.

    Raises UnprovenError where nothing can and that was not asked for.
    """
    if why := ask.explain_unbootable(plan, fetched=True):
        return _unproven(plan, evidence, why), [], ()
    requests, answers, why = _record_answers(plan)
    if answers is None:
        evidence = _unproven(plan, evidence, why)
        done = replay.check(bundle, plan, (), (), work)
    else:
        done = replay.check(bundle, plan, requests, answers.answers, work)
        evidence = replace(
            evidence,
            oracle=answers.oracle,
            oracle_protections=answers.protections,
            declared_bytes=answers.declared_bytes,
            declared_start_cpu_ms=answers.start_cpu_ms,
        )
    evidence = replace(
        evidence,
        proven=answers is not None,
        threads=plan.threads,
        replay=done.replay,
        notes=(
            *evidence.notes,
            *_notes(plan, done.replay, requests, answers),
            *budget.list_weight_notes(bundle, plan),
        ),
        checks={**evidence.checks, **budget.describe_weights(bundle, plan)},
    )
    if done.findings and all(each.check is Check.SANDBOX for each in done.findings):
        # a fault of this machine's, not of the bundle
        return _unproven(plan, evidence, "\n".join(map(_describe, done.findings))), [], ()
    if answers is not None and not done.findings and done.replay.rows_compared == 0:
        evidence = _unproven(
            plan, evidence, _nothing_compared(plan, done.replay, requests, answers)
        )
    return evidence, list(done.findings), _choose_samples(requests, answers)


def _choose_samples(requests: Sequence[Probe], answers: Answers | None) -> tuple[ReplaySample, ...]:
    """Choose from what the registered model answered; () where nothing was recorded."""
    if answers is None:
        return ()
    pairs = zip(requests, answers.answers, strict=True)
    return choose_samples(
        (probe, each.body) for probe, each in pairs if each.status == 200 and not each.lacks_form
    )


def _record_answers(plan: BuildPlan) -> tuple[tuple[Probe, ...], Answers | None, str]:
    """The probes and MLflow's answers to them; None with the reason where there are none."""
    requests = ask.requests_of(plan)
    if not requests:
        return (), None, NOTHING_TO_REPLAY
    try:
        found = ask.record_answers(plan, requests)
    except UnprovenError as error:
        if not plan.allows_unproven:
            raise
        return (), None, error.why
    return requests, found, ""


def _unproven(plan: BuildPlan, evidence: Evidence, why: str) -> Evidence:
    if not plan.allows_unproven:
        raise UnprovenError(why)
    return replace(evidence, proven=False, why_unproven=why)


def _describe(finding: Finding) -> str:
    return f"{finding.message} {finding.hint}"


def _nothing_compared(
    plan: BuildPlan, done: Replay, requests: Sequence[Probe], answers: Answers
) -> str:
    if done.spread.chance:
        return (
            "The registered model answers otherwise each time that it is asked, in every value, "
            f"at {describe_outputs(done.spread.chance)}, so no prediction could be compared. "
            "Log it with a fixed seed."
        )
    return ask.explain_refusals(plan, requests, answers.answers)


def _notes(
    plan: BuildPlan,
    done: Replay,
    requests: Sequence[Probe],
    answers: Answers | None,
) -> tuple[str, ...]:
    notes: list[str] = []
    recorded = answers.answers if answers is not None else ()
    requests = requests if recorded else ()
    if recorded and recorded[0].status != 200 and plan.model.example is not None:
        why = f" with {recorded[0].raised}" if recorded[0].raised else ""
        notes.append(f"The registered model refuses its own example{why}.")
    if lacking := sum(each.lacks_form for each in recorded):
        notes.append(
            f"{lacking} requests were compared with nothing: the model's own MLflow "
            f"({plan.model.mlflow_version}) does not take their form, `inputs` or `instances` of "
            "several rows. The function answers them as later MLflow does."
        )
    wanted = plan.request.proof.rows
    if 0 < done.rows_compared < wanted:
        notes.append(
            f"{done.rows_compared} rows were compared, fewer than the {wanted} asked for: the "
            "registered model refuses the rest, or they are too large. "
            f"{ask.list_causes(requests, recorded)}".rstrip()
        )
    start, limit = done.cold_start, plan.target.limits.init_seconds
    if start is not None and start.init_wall_ms > limit * 1000:
        notes.append(
            f"Init took {start.init_wall_ms / 1000:.1f} s here; the target allows {limit:g} s."
        )
    return tuple(notes)
