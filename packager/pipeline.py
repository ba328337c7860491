"""A model URI goes in, a deployable artifact comes out; half of one is never left behind."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import _output
from packager.emit import emit
from packager.errors import ToolError, VerificationError
from packager.package import package
from packager.plan import check, plan
from packager.registry import ModelRegistry
from packager.resolve import resolve
from packager.slim import slim
from packager.types import (
    BuildPlan,
    BuildReport,
    BuildRequest,
    Finding,
    ResolvedModel,
    VerifiedBundle,
)
from packager.verify import verify

_LOG = logging.getLogger(__name__)
_KEEP_ROUNDS: Final = 3


def build(request: BuildRequest, registry: ModelRegistry) -> BuildReport:
    """Run all six stages; the output folder appears whole, or stays as it was.

    Raises PackagerError (see packager.errors for each way to stop).
    """
    check(request)
    with _output.replacing(request.out_dir) as place:
        model = resolve(request, registry, place.stage("model"))
        attempt, verified = _first_proven(plan(request, model), place)
        artifact = package(verified, attempt, place.out)
        report = emit(artifact, verified, attempt, place.out)
    return _moved(report, place.out, request.out_dir)


@contextlib.contextmanager
def planned(
    request: BuildRequest, registry: ModelRegistry
) -> Iterator[tuple[ResolvedModel, tuple[BuildPlan, ...], _output.Place]]:
    """The first two stages alone, in a folder that goes away: for --dry-run, inspect and serve."""
    check(request)
    with _output.scratch() as place:
        model = resolve(request, registry, place.stage("model"))
        yield model, plan(request, model), place


def _first_proven(
    attempts: Sequence[BuildPlan], place: _output.Place
) -> tuple[BuildPlan, VerifiedBundle]:
    """The first attempt that every check passes; what the earlier ones failed on is kept."""
    tried: list[str] = []
    for number, attempt in enumerate(attempts):
        label = f"{attempt.tier}/{attempt.frame}"
        folder = place.stage(f"attempt-{number}")
        _LOG.info("Attempt %d of %d: %s", number + 1, len(attempts), label)
        try:
            attempt, verified = _proven(attempt, folder)  # noqa: PLW2901 - it may gain keep-rules
        except VerificationError as error:
            if number + 1 == len(attempts) or not _answers_differ(error):
                raise _with_history(error, tried) from error
            tried.append(f"{label}: {error.findings[0].message}")
            shutil.rmtree(folder, ignore_errors=True)
            continue
        evidence = replace(verified.evidence, tried=tuple(tried))
        return attempt, replace(verified, evidence=evidence)
    raise ToolError("There is no attempt to make: the plan is empty.")


def _proven(attempt: BuildPlan, folder: Path) -> tuple[BuildPlan, VerifiedBundle]:
    """Slim and verify; what is found missing becomes a keep-rule, a bounded number of times."""
    for round_ in range(_KEEP_ROUNDS):
        work = folder / f"round-{round_}"
        (work / "slim").mkdir(parents=True)
        (work / "verify").mkdir()
        bundle = slim(attempt, work / "slim")
        try:
            return attempt, verify(bundle, attempt, work / "verify")
        except VerificationError as error:
            missing = {finding.missing for finding in error.findings if finding.missing}
            rules = tuple(sorted(missing - set(attempt.keep)))
            if not rules or round_ + 1 == _KEEP_ROUNDS:
                raise
            _LOG.info("Kept after all: %s", ", ".join(rules))
            attempt = replace(attempt, keep=(*attempt.keep, *rules))
            shutil.rmtree(work, ignore_errors=True)
    raise AssertionError("the last round returns or raises")


def _answers_differ(error: VerificationError) -> bool:
    """Whether another tier or frame could do better: not where the tree itself is at fault."""
    return any(finding.check in {"replay", "boot"} for finding in error.findings)


def _with_history(error: VerificationError, tried: Sequence[str]) -> VerificationError:
    if not tried:
        return error
    earlier = tuple(Finding(check="tried before", message=line, hint="") for line in tried)
    return VerificationError((*error.findings, *earlier))


def _moved(report: BuildReport, out: Path, final: Path) -> BuildReport:
    """The same report, its paths where the output folder lies now."""
    artifact = replace(
        report.artifact,
        path=final / report.artifact.path.relative_to(out),
        folder=final / report.artifact.folder.relative_to(out),
    )
    emitted = tuple(final / path.relative_to(out) for path in report.emitted)
    return replace(report, artifact=artifact, emitted=emitted)
