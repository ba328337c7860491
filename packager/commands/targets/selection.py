"""`--target auto`: build for one target after the other, until what was measured fits.

What a build has found out is not guessed: the artifact is built and proven, then held to the
target's ceilings (packager/commands/targets/fit.py). A target that a build is too large for is
passed over with the size that was found; every other failure is a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packager import targets
from packager.commands.targets import fit
from packager.commands.targets.costs import Way
from packager.commands.targets.fit import Verdict
from packager.commands.targets.measurements import count_rows, read_times
from packager.commands.targets.workload import Measured, Workload
from packager.errors import PlanError, VerificationError
from packager.models.registry import ModelRegistry
from packager.pipeline.build import build
from packager.pipeline.resolve import resolve
from packager.system import atomic_output
from packager.types import (
    BuildReport,
    BuildRequest,
    CeilingRow,
    Check,
    Device,
    Finding,
    TargetRow,
    WayRow,
    Weights,
    change_request,
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Result of a selection: what was built, and why for this target."""

    report: BuildReport
    verdicts: tuple[Verdict, ...]
    """Of every target, by what was measured on what was built."""
    passed_over: tuple[str, ...]
    """Targets that were tried before, each with why it was not taken."""


def _choose_target(request: BuildRequest, name: str, gpu: str) -> BuildRequest:
    """The request for a target, without a GPU unless the model needs one or one was asked for.

    Weights lie outside where the target can have them there in that way.
    """
    device = None if gpu or request.target.device else Device.CPU
    support = targets.load(name, request.target.facts_dir).weights
    ways = () if support is None else (*support.ways, Weights.AUTO)
    wanted = request.target.weights
    return change_request(
        request,
        target=name,
        device=request.target.device or device,
        weights=wanted if wanted in ways else Weights.PACKAGE,
    )


def build_auto(request: BuildRequest, registry: ModelRegistry, workload: Workload) -> Decided:
    """Build for the first target that takes the model.

    Raises VerificationError with each target's reasons where none does, and what `build` raises
    for anything but size.
    """
    with atomic_output.scratch() as place:
        model = resolve(request, registry, place.stage("model"))
        gpu = fit.needs_gpu(model, request.target.facts_dir)
    passed: list[str] = []
    for name in targets.TARGETS:
        target = targets.load(name, request.target.facts_dir)
        if gpu and target.machine.device is not Device.CUDA:
            passed.append(f"{name}: no GPU, and {gpu}")
            continue
        if request.target.compute not in target.machine.computes:
            passed.append(f"{name}: it has no {request.target.compute}")
            continue
        asked = _choose_target(request, name, gpu)
        _LOG.info("Trying %s", name)
        try:
            report = build(asked, registry)
        except (PlanError, VerificationError) as error:
            if not _too_large(error):
                raise
            passed.append(f"{name}: {_first(error)}")
            continue
        verdicts = verdicts_of(read_measurements(report, gpu), workload, request.target.facts_dir)
        mine = next(verdict for verdict in verdicts if verdict.target == name)
        if mine.fits:
            return Decided(report=report, verdicts=verdicts, passed_over=tuple(passed))
        passed.extend(f"{name}: {reason}" for reason in mine.reasons)
    raise VerificationError(
        [Finding(check=Check.FIT, message=f"{why}.", hint="") for why in passed]
    )


def verdicts_of(
    found: Measured, workload: Workload, facts_dir: Path | None = None
) -> tuple[Verdict, ...]:
    return fit.judge(found, workload, fit.load_targets(found, facts_dir), facts_dir)


def read_measurements(report: BuildReport, gpu: str = "") -> Measured:
    """Return the measurements of an artifact that was just built."""
    cold = report.evidence.replay.cold_start
    example = report.plan.model.example
    body = None if example is None else example.body
    return Measured(
        unzipped_bytes=report.artifact.unzipped_bytes,
        weights_bytes=report.bundle.weights_bytes,
        outside_bytes=report.bundle.outside_bytes,
        mounts_weights=report.plan.weights_way is Weights.MOUNT,
        memory_bytes=None if cold is None else cold.peak_rss_bytes,
        init_seconds=None if cold is None else cold.init_cpu_ms / 1000,
        answer_seconds=None if cold is None else cold.warm_invoke_ms / 1000,
        rows=count_rows(body),
        seconds_by_rows={} if cold is None else read_times(cold.invoke_ms_by_rows),
        request_bytes=None if body is None else len(body),
        # the first question is the example, where there is one
        response_bytes=None if body is None or cold is None else cold.response_bytes,
        needs_gpu=gpu,
        python_minor=report.plan.runtime.python_minor,
        architecture=report.plan.request.target.architecture,
        front=report.plan.request.http.front,
        compute=report.plan.request.target.compute,
    )


def list_verdicts(verdicts: Sequence[Verdict]) -> list[TargetRow]:
    """As plain values: for JSON, and for a table."""
    return [
        {
            "target": verdict.target,
            "fits": verdict.fits,
            "margins": [str(margin) for margin in verdict.margins],
            "ceilings": [
                CeilingRow(
                    what=margin.what,
                    used=margin.used,
                    limit=margin.limit,
                    unit=margin.unit,
                    fits=margin.fits,
                    left=margin.left,
                )
                for margin in verdict.margins
            ],
            "reasons": list(verdict.reasons),
            "dollars_per_million": verdict.dollars,
            "reckoned": verdict.reckoned,
            "limits": verdict.source,
            "ways": [_describe_way(way) for way in verdict.ways],
        }
        for verdict in verdicts
    ]


def _describe_way(way: Way) -> WayRow:
    return {
        "name": way.name,
        "label": way.label,
        "architecture": way.architecture,
        "memory_mb": way.memory_mb,
        "request_ms": way.request_seconds * 1000,
        "cold_share": way.cold_share,
        "instances": way.instances,
        "dollars_a_month": {
            "compute": way.compute,
            "http": way.http,
            "starts": way.starts,
            "standby": way.standby,
            "total": way.dollars,
        },
        "dollars_per_million": way.per_million,
        "checked": way.is_checked,
        "prices": list(dict.fromkeys(each.told for each in way.prices)),
        "idle_seconds": None if way.idle is None else way.idle.seconds,
        "idle_source": "" if way.idle is None else way.idle.told,
    }


def _too_large(error: PlanError | VerificationError) -> bool:
    if isinstance(error, VerificationError):
        return all(finding.check.about_size for finding in error.findings)
    return any(mark in str(error) for mark in ("The way out is the target", "built for a GPU"))


def _first(error: PlanError | VerificationError) -> str:
    if isinstance(error, VerificationError):
        return error.findings[0].message
    return str(error).splitlines()[0]
