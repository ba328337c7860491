"""`--target auto`: build for one target after the other, until what was measured fits.

Where a model fits only with its weights outside of the function, the ways to have them there are
weighed against images and containers (packager/commands/targets/weighing.py).

What a build has found out is not guessed: the artifact is built and proven, then held to the
target's ceilings (packager/commands/targets/fit.py). A target that a build is too large for is
passed over with the size that was found; every other failure is a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from packager import targets
from packager.commands.targets import fit
from packager.commands.targets.costs import Way
from packager.commands.targets.fit import Verdict
from packager.commands.targets.measurements import count_rows, read_times
from packager.commands.targets.weighing import (
    Option,
    choose,
    describe_choice,
    list_options,
    weigh,
)
from packager.commands.targets.workload import Measured, Workload
from packager.errors import PlanError, UnprovenError, VerificationError
from packager.facts.prices import HttpFront
from packager.models.registry import ModelRegistry
from packager.pipeline.build import build, move_paths
from packager.pipeline.emit import record_choice
from packager.pipeline.resolve import resolve
from packager.system import atomic_output
from packager.types import (
    BuildReport,
    BuildRequest,
    CeilingRow,
    Check,
    Choice,
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
    choice: Choice | None = None
    """What was weighed; None where the first that fits was taken."""


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
    """Build for the first target that takes the model; with its weights outside, for the best way.

    Raises VerificationError with each target's reasons where none does, and what `build` raises
    for anything but size.
    """
    with atomic_output.scratch() as place:
        model = resolve(request, registry, place.stage("model"))
        gpu = fit.needs_gpu(model, request.target.facts_dir)
    final = request.output.folder
    with atomic_output.replacing(final) as place:
        decided = _Selection(request, registry, workload, gpu, place).decide()
        made = decided.report.artifact.folder.parent
        if decided.choice is not None:
            record_choice(decided.report, decided.choice)
        place.take(made)
    return replace(decided, report=move_paths(decided.report, made, final))


@dataclass
class _Selection:
    """Builds, each in a folder of its own; of these one is kept."""

    request: BuildRequest
    registry: ModelRegistry
    workload: Workload
    gpu: str
    place: atomic_output.Place
    built: dict[Option, BuildReport] = field(default_factory=dict)
    tries: int = 0
    passed: list[str] = field(default_factory=list)

    @property
    def facts_dir(self) -> Path | None:
        return self.request.target.facts_dir

    def decide(self) -> Decided:
        """Raises VerificationError where no target takes the model."""
        names = [*self._list_targets()]
        for number, name in enumerate(names):
            asked = _choose_target(self.request, name, self.gpu)
            if (report := self._try(name, asked)) is None:
                continue
            measured = read_measurements(report, self.gpu)
            if is_weighed(report, measured):
                decided = self._weigh(report, measured, names[number:])
                if decided:
                    return decided
                break  # the targets that follow were weighed too
            verdicts = verdicts_of(measured, self.workload, self.facts_dir)
            mine = next(verdict for verdict in verdicts if verdict.target == name)
            if mine.fits:
                if report.bundle.weights and asked.target.weights is Weights.AUTO:
                    self.passed.append(
                        "other places for the weights: nothing was timed to weigh by"
                    )
                return Decided(report=report, verdicts=verdicts, passed_over=tuple(self.passed))
            self.passed.extend(f"{name}: {reason}" for reason in mine.reasons)
        raise VerificationError(
            [Finding(check=Check.FIT, message=f"{why}.", hint="") for why in self.passed]
        )

    def _try(self, name: str, asked: BuildRequest) -> BuildReport | None:
        """Build for a target; None where the model is too large for it."""
        _LOG.info("Trying %s", name)
        try:
            return self._build(Option(name, asked.target.weights), asked)
        except (PlanError, VerificationError) as error:
            if not _too_large(error):
                raise
            self.passed.append(f"{name}: {_first(error)}")
            return None

    def _list_targets(self) -> Iterator[str]:
        """Yield those that have what the model and the request need; the others are passed over."""
        for name in targets.TARGETS:
            machine = targets.load(name, self.facts_dir).machine
            if self.gpu and machine.device is not Device.CUDA:
                self.passed.append(f"{name}: no GPU, and {self.gpu}")
            elif self.request.target.compute not in machine.computes:
                self.passed.append(f"{name}: it has no {self.request.target.compute}")
            else:
                yield name

    def _build(self, option: Option, asked: BuildRequest) -> BuildReport:
        self.tries += 1
        folder = self.place.stage(f"way-{self.tries}") / self.request.output.folder.name
        report = build(change_request(asked, out_dir=folder), self.registry)
        self.built[option] = report
        return report

    def _weigh(
        self, report: BuildReport, measured: Measured, names: Sequence[str]
    ) -> Decided | None:
        """Weigh what was built against the other ways; None where none of them fits."""
        first = Option(report.plan.target.name, report.plan.weights_way)
        self.built[first] = report
        found = {first: measured}
        _LOG.info("The weights fit no zip: weighing the ways to have them")

        def measure(option: Option) -> Measured | str:
            _LOG.info("Trying %s", option.label)
            asked = change_request(
                _choose_target(self.request, option.target, self.gpu), weights=option.weights
            )
            try:
                found[option] = read_measurements(self._build(option, asked), self.gpu)
            except (PlanError, VerificationError, UnprovenError) as error:
                return f"it could not be built: {_first(error)}"
            return found[option]

        options = [*list_options(names, self.facts_dir)]
        weighed = weigh(first, measured, options, self.workload, measure, self.facts_dir)
        chosen = choose(weighed)
        if chosen is None:
            self.passed.extend(
                f"{each.option.label}: {reason}" for each in weighed for reason in each.refused
            )
            return None
        limit = report.plan.target.limits.unzipped_bytes / 1e6
        needed = (
            f"Unpacked it has {measured.count_whole_bytes() / 1e6:,.1f} MB with its weights, and "
            f"{first.target} takes {limit:,.1f} MB."
        )
        return Decided(
            report=self.built[chosen.option],
            verdicts=verdicts_of(found[chosen.option], self.workload, self.facts_dir),
            passed_over=tuple(self.passed),
            choice=describe_choice(weighed, self.workload, needed),
        )


def is_weighed(report: BuildReport, measured: Measured) -> bool:
    """Tell whether the place of the weights was left to us, and anything was timed to choose by."""
    return (
        report.plan.request.target.weights is Weights.AUTO
        and bool(report.bundle.weights)
        and measured.init_seconds is not None
        and measured.estimate_seconds(1) is not None
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
    today = datetime.now(UTC).date()
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
        "requests_a_month": way.requests,
        "rows": way.rows,
        "at_work": way.at_work,
        "prices": list(dict.fromkeys(each.told for each in way.prices)),
        "prices_of": {
            each.told: "HTTP endpoint" if isinstance(each, HttpFront) else way.name
            for each in way.prices
        },
        "old_prices": list(dict.fromkeys(each.told for each in way.prices if each.is_old(today))),
        "idle_seconds": None if way.idle is None else way.idle.seconds,
        "idle_source": "" if way.idle is None else way.idle.told,
    }


def _too_large(error: PlanError | VerificationError) -> bool:
    if isinstance(error, VerificationError):
        return all(finding.check.about_size for finding in error.findings)
    return any(mark in str(error) for mark in ("The way out is the target", "built for a GPU"))


def _first(error: PlanError | VerificationError | UnprovenError) -> str:
    if isinstance(error, VerificationError):
        return error.findings[0].message
    return str(error).splitlines()[0]
