"""Choice of target for a model, by its measurements against each one's ceilings and prices.

The order is that of the index: what starts fastest and costs nothing while idle comes first. The
first that takes the model is chosen; of the others it is said by how much they miss, and what they
would cost. Ceilings and prices are facts, with their source and date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager import targets
from packager.commands.targets.costs import Way, estimate_need_mb, list_ways
from packager.commands.targets.workload import Measured, Workload
from packager.errors import VerificationError
from packager.facts.devices import gpu_only
from packager.types import Check, Device, Finding, ResolvedModel, Target, TargetOptions

_SNAPSHOT_SECONDS: Final = 130.0
"""Init where a snapshot is made of it: https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One ceiling, and how far it is away."""

    what: str
    used: float
    limit: float
    unit: str

    @property
    def fits(self) -> bool:
        return self.used <= self.limit

    @property
    def left(self) -> float:
        """Share of the limit that is left: 0.25 for a quarter, below 0 where it is passed."""
        return 1 - self.used / self.limit

    def __str__(self) -> str:
        way = "left" if self.fits else "too much"
        apart = abs(self.limit - self.used)
        return (
            f"{self.what}: {_format_value(self.used)} of {_format_value(self.limit)} {self.unit}, "
            f"{_format_value(apart)} {way} "
            f"({self.left:+.0%})"
        )


def format_quantity(value: float, unit: str) -> str:
    """Write a size in MB or a time in seconds in the unit that a person would say it in."""
    if unit == "MB":
        for least, factor, name in ((1e5, 1e-3, "GB"), (1, 1, "MB"), (1e-3, 1e3, "kB")):
            if value >= least:
                return f"{_round_digits(value * factor)} {name}"
        return f"{value * 1e6:,.0f} bytes"
    return f"{_round_digits(value)} s" if value >= 10 else f"{_round_digits(value * 1000)} ms"


def format_share(left: float) -> str:
    """Write the part of a limit that is left, or by which it is passed, in percent."""
    percent = abs(left) * 100
    # what is close to a limit is on one side of it: 0 % and 100 % are said of nothing else
    text = "<1" if 0 < percent < 1 else ">99" if 99 < percent < 100 else f"{percent:,.0f}"
    return f"{text} % {'over' if left < 0 else 'left'}"


def format_percent(share: float) -> str:
    """Write a share that may be small: 54.9 %, 0.012 %."""
    return f"{share * 100:.3g} %" if share >= 1e-5 else "<0.001 %"


def _round_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")


def _format_value(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.6g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    target: str
    margins: tuple[Margin, ...]
    refused: tuple[str, ...]
    """Why it is not taken, beside the margins."""
    ways: tuple[Way, ...]
    """The cheapest first; () where nothing was measured to reckon with."""
    reckoned: str
    """How the cheapest was reckoned, in a sentence."""
    source: str

    @property
    def dollars(self) -> float | None:
        """For a million predictions, the cheapest way; None where nothing was measured."""
        return self.ways[0].per_million if self.ways else None

    @property
    def fits(self) -> bool:
        return not self.refused and all(margin.fits for margin in self.margins)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reasons why the target does not take the artifact."""
        return (*self.refused, *(str(each) for each in self.margins if not each.fits))


def load_targets(measured: Measured, facts_dir: Path | None = None) -> list[Target]:
    """Load every target, each on the machines that the artifact was built for, if it has them."""
    return [
        targets.load_for(TargetOptions(name=name, compute=measured.compute, facts_dir=facts_dir))
        for name in targets.TARGETS
    ]


def judge(
    measured: Measured, workload: Workload, every: Sequence[Target], facts_dir: Path | None = None
) -> tuple[Verdict, ...]:
    """One verdict a target, in their order. Raises FactsError."""
    return tuple(_make_verdict(measured, workload, target, facts_dir) for target in every)


def choose(verdicts: Sequence[Verdict]) -> Verdict:
    """The first that takes the model. Raises VerificationError where none does, saying why not."""
    for verdict in verdicts:
        if verdict.fits:
            return verdict
    raise VerificationError(
        [
            Finding(check=Check.FIT, message=f"{verdict.target}: {reason}.", hint="")
            for verdict in verdicts
            for reason in verdict.reasons
        ]
    )


def _list_providers(model: ResolvedModel) -> list[str]:
    """Execution providers that an ONNX graph was logged for."""
    providers = model.flavors.get("onnx", {}).get("providers") or ()
    return [str(each[0] if isinstance(each, list) else each) for each in providers]


def needs_gpu(model: ResolvedModel, facts_dir: Path | None = None) -> str:
    """Explain why the model declares that it runs on a GPU alone; empty where a CPU will do."""
    config = model.pyfunc.get("config") or {}
    device = str(config.get("device") or "") if isinstance(config, dict) else ""
    if device.startswith("cuda"):
        return f"it was logged for the device {device}"
    named = _list_providers(model)
    if named and "CPUExecutionProvider" not in named:
        return f"its graph was logged for {', '.join(named)} alone"
    only = gpu_only(facts_dir)
    for line in model.requirements.lines:
        name = line.partition("==")[0].partition(">")[0].strip().lower().replace("_", "-")
        if name in only:
            return f"it requires {name}, which runs on a GPU alone"
    return ""


def _make_verdict(
    measured: Measured, workload: Workload, target: Target, facts_dir: Path | None
) -> Verdict:
    refused = []
    if measured.needs_gpu and target.machine.device is not Device.CUDA:
        refused.append(f"no GPU, and {measured.needs_gpu}")
    ways = list_ways(measured, workload, target, facts_dir)
    limits = target.limits
    return Verdict(
        target=target.name,
        margins=tuple(_list_margins(measured, workload, target)),
        refused=tuple(refused),
        ways=ways,
        reckoned=_explain_cost(measured, workload, ways),
        source=f"{limits.source}, {limits.as_of}",
    )


def _list_margins(measured: Measured, workload: Workload, target: Target) -> Iterator[Margin]:
    limits = target.limits
    unpacked = measured.count_unpacked_bytes(target)
    yield _make_margin("unpacked", unpacked / 1e6, limits.unzipped_bytes / 1e6, "MB")
    if measured.memory_bytes is not None:
        need = estimate_need_mb(measured.memory_bytes)
        yield _make_margin("memory, with room", need, limits.memory_mb[1], "MB")
    if measured.init_seconds is not None:
        snapshots = measured.can_snapshot(target)
        most = max(limits.init_seconds, _SNAPSHOT_SECONDS) if snapshots else limits.init_seconds
        fetch = measured.estimate_fetch_seconds(target)
        if fetch and measured.reading_seconds is not None:
            unit = "s of a whole CPU and of having the weights there (stated, not measured)"
            yield _make_margin("start", measured.init_seconds + fetch, most, unit)
        elif fetch and target.weights is not None:
            speed = target.weights.fetch_bytes_per_second / 1e6
            unit = f"s of a whole CPU and of fetching at {speed:.0f} MB/s (stated, not measured)"
            yield _make_margin("start", measured.init_seconds + fetch, most, unit)
        else:
            yield _make_margin("start", measured.init_seconds, most, "s of a whole CPU")
    share = workload.rows / measured.rows
    seconds = measured.estimate_seconds(workload.rows)
    if seconds is not None:
        yield _make_margin("answer", seconds, limits.timeout_seconds, "s of a whole CPU")
    for what, size, limit in (
        ("request", measured.request_bytes, limits.request_bytes),
        ("answer's body", measured.response_bytes, limits.response_bytes),
    ):
        if size is not None:
            yield _make_margin(what, size * share / 1e6, limit / 1e6, "MB")


def _make_margin(what: str, used: float, limit: float, unit: str) -> Margin:
    return Margin(what=what, used=used, limit=limit, unit=unit)


def _explain_cost(measured: Measured, workload: Workload, ways: Sequence[Way]) -> str:
    """Tell how the cheapest way was reckoned, by whose prices."""
    if not ways:
        timed = measured.estimate_seconds(workload.rows) is not None
        if not timed and measured.why_untimed:
            return f"not reckoned: {measured.why_untimed}"
        return f"not reckoned: no {'price is known' if timed else 'answer was timed'}"
    way = ways[0]
    if way.memory_mb is None:
        return f"{way.instances} x {way.name}, day and night, by its CPUs' speed; {way.beside}"
    rows = f"{workload.rows:,} row{'s' if workload.rows > 1 else ''}"
    cold = f", {format_percent(way.cold_share)} of them cold" if way.idle else ""
    if way.at_work >= 1:
        cold += f", {way.at_work:,.0f} instances at work at once on average"
    return (
        f"{way.label} on {way.architecture}, {way.memory_mb} MB for "
        f"{way.request_seconds * 1000:.3g} ms a request of {rows} "
        f"({measured.explain_seconds(workload.rows)}){cold}"
    )
