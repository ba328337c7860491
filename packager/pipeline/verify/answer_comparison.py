"""Judge of one answer: whether it is the registered model's. It counts nothing and asks nobody."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from packager.pipeline.answers.comparison import Difference, read_leaves, split_differences
from packager.pipeline.verify.oracle import Recorded
from packager.probes import Probe
from packager.targets.hosts import Answered, Delivered
from packager.types import Check, Distances, Finding, Spread

_DIFFERENCES: Final = 3
"""Of one request, that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Distance that an answer may have from the registered model's."""

    spread: Spread = field(default_factory=Spread)
    """Of the registered model's own answers."""
    tolerance: tuple[float, float] | None = None
    """Relative and absolute, of a compiled model's numbers; None asks for every bit."""

    def split_differences(
        self, expected: object, actual: object
    ) -> tuple[list[Difference], list[Difference]]:
        """(differences that nothing allows, those that are allowed)."""
        return split_differences(
            expected,
            actual,
            rounding=self.spread.rounding,
            chance=self.spread.chance.keys(),
            tolerance=self.tolerance,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One answer beside the registered model's."""

    unseen: bool = False
    """Whether nothing was slimmed by the request."""
    rows: int = 0
    """Rows that are the same; 0 of an answer that is random throughout, as it shows nothing."""
    error: float = 0.0
    """The largest difference of two numbers, allowed or not."""
    distances: Distances = field(default_factory=Distances)
    """Of each value of an answer that passed."""
    refused: bool = False
    """Whether both sides refused it alike."""
    not_held: bool = False
    """Whether there is nothing to hold it to: an early MLflow does not take the request's form."""
    finding: Finding | None = None
    """How the answers differ; None where they are the same."""


def _describe_status(probe: Probe, expected: Recorded, actual: Answered) -> str:
    got = f"{actual.status} ({actual.words})" if actual.words else f"{actual.status}"
    return f"{probe.name}: expected status {expected.status}, got {got}."


def compare_answer(
    probe: Probe, expected: Recorded, actual: Answered, measure: Measure
) -> Comparison:
    """Compare status and body."""
    # a direct invocation has no status: it fails, and that is what is compared
    fails = probe.door == "direct" and actual.status != 200
    if expected.status != 200 and (actual.status == expected.status or fails):
        return Comparison(unseen=probe.unseen, refused=True)
    if expected.lacks_form and actual.status == 200:
        return Comparison(unseen=probe.unseen, not_held=True)
    if actual.status != expected.status:
        said = _describe_status(probe, expected, actual)
        return Comparison(unseen=probe.unseen, finding=make_finding(said))
    wanted = json.loads(expected.body)
    wrong, near = measure.split_differences(wanted, actual.body)
    error = max([0.0, *(each.error for each in (*near, *wrong))])
    if wrong:
        finding = make_finding(f"{probe.name}: {_format_differences(wrong)}.")
        return Comparison(unseen=probe.unseen, error=error, finding=finding)
    distances = _count_distances(wanted, near, measure)
    rows = probe.rows * distances.is_told
    return Comparison(unseen=probe.unseen, rows=rows, error=error, distances=distances)


def _count_distances(wanted: object, near: Sequence[Difference], measure: Measure) -> Distances:
    """Count the values of an answer by how far they lie from the registered model's."""
    leaves = Counter(place for place, _ in read_leaves(wanted))
    random = sum(leaves[place] for place in measure.spread.chance)
    powers = Counter(math.floor(math.log10(each.error)) for each in near if each.error)
    return Distances(
        equal=leaves.total() - random - powers.total(),
        random=random,
        by_power=dict(sorted(powers.items())),
    )


def compare_message(
    source: str, came: Delivered, predictions: object, measure: Measure
) -> tuple[Finding, ...]:
    """Compare what a message of the source was answered with a request's predictions."""
    if came.failure is not None or not came.answers:
        why = came.failure or "nothing was sent to the destination"
        return (make_finding(f"a message of {source}: {why}"),)
    findings: list[Finding] = []
    for answer in came.answers:
        said = {"predictions": answer.get("predictions")}
        wrong, _ = measure.split_differences({"predictions": predictions}, said)
        if wrong:
            shown = _format_differences(wrong)
            findings.append(make_finding(f"a message of {source}: {shown}."))
    return tuple(findings)


def _format_differences(found: Sequence[Difference]) -> str:
    shown = "; ".join(str(each) for each in found[:_DIFFERENCES])
    more = len(found) - _DIFFERENCES
    return f"{shown}; and {more} more" if more > 0 else shown


def make_finding(message: str) -> Finding:
    return Finding(
        check=Check.REPLAY,
        message=message,
        hint="The artifact must answer as the registered model does.",
    )
