"""Choice of target for a model, by its measurements against each one's ceilings and prices.

The order is that of the index: what starts fastest and costs nothing while idle comes first. The
first that takes the model is chosen; of the others it is said by how much they miss, and what they
would cost. Ceilings and prices are facts, with their source and date.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.errors import VerificationError
from packager.facts import prices
from packager.facts.devices import gpu_only
from packager.types import Check, Device, Finding, ResolvedModel, Target

_MB: Final = 1 << 20
_HEADROOM: Final = 1.3
"""As the templates' own default memory has it."""
_LEAST_MB: Final = 512
_USED: Final = 0.7
"""Of a machine's capacity: what can be used before requests wait for each other."""
_SNAPSHOT_SECONDS: Final = 130.0
"""Init where a snapshot is made of it: https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measurements of one artifact; None for what was not measured."""

    unzipped_bytes: int
    memory_bytes: int | None = None
    """The most that it held: after its load, and at the largest batch that was replayed."""
    init_seconds: float | None = None
    """With one whole CPU."""
    answer_seconds: float | None = None
    """For `rows`, with one whole CPU."""
    rows: int = 1
    request_bytes: int | None = None
    """For `rows`."""
    response_bytes: int | None = None
    needs_gpu: str = ""
    """Why it runs on a GPU alone; empty where a CPU will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests that it will be asked."""

    requests_per_second: float = 1.0
    rows: int = 1
    """Of a request."""


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
    dollars: float | None
    """For a million predictions; None where nothing was measured to reckon with."""
    reckoned: str
    """How, in a sentence."""
    source: str

    @property
    def fits(self) -> bool:
        return not self.refused and all(margin.fits for margin in self.margins)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reasons why the target does not take the artifact."""
        return (*self.refused, *(str(each) for each in self.margins if not each.fits))


def judge(
    measured: Measured, workload: Workload, targets: Sequence[Target], facts_dir: Path | None = None
) -> tuple[Verdict, ...]:
    """One verdict a target, in their order. Raises FactsError."""
    return tuple(_make_verdict(measured, workload, target, facts_dir) for target in targets)


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
    if measured.needs_gpu and Device.CUDA not in target.machine.devices:
        refused.append(f"no GPU, and {measured.needs_gpu}")
    dollars, reckoned = _estimate_cost(measured, workload, target, facts_dir)
    limits = target.limits
    return Verdict(
        target=target.name,
        margins=tuple(_list_margins(measured, workload, target)),
        refused=tuple(refused),
        dollars=dollars,
        reckoned=reckoned,
        source=f"{limits.source}, {limits.as_of}",
    )


def _list_margins(measured: Measured, workload: Workload, target: Target) -> Iterator[Margin]:
    limits = target.limits
    yield _make_margin("unpacked", measured.unzipped_bytes / 1e6, limits.unzipped_bytes / 1e6, "MB")
    if measured.memory_bytes is not None:
        # the headroom is what a template would add: without it the first large request ends it
        need = measured.memory_bytes * _HEADROOM / _MB
        yield _make_margin("memory, with room", need, limits.memory_mb[1], "MB")
    if measured.init_seconds is not None:
        snapshots = any(runtime.snapstart for runtime in target.runtimes)
        most = max(limits.init_seconds, _SNAPSHOT_SECONDS) if snapshots else limits.init_seconds
        yield _make_margin("start", measured.init_seconds, most, "s of a whole CPU")
    share = workload.rows / measured.rows
    if measured.answer_seconds is not None:
        seconds = measured.answer_seconds * share
        yield _make_margin("answer", seconds, limits.timeout_seconds, "s of a whole CPU")
    for what, size, limit in (
        ("request", measured.request_bytes, limits.request_bytes),
        ("answer's body", measured.response_bytes, limits.response_bytes),
    ):
        if size is not None:
            yield _make_margin(what, size * share / 1e6, limit / 1e6, "MB")


def _make_margin(what: str, used: float, limit: float, unit: str) -> Margin:
    return Margin(what=what, used=used, limit=limit, unit=unit)


def _memory_mb(measured: Measured, target: Target) -> int:
    need = max(_LEAST_MB, math.ceil((measured.memory_bytes or 0) * _HEADROOM / _MB / 64) * 64)
    sizes = target.limits.memory_sizes_mb or (need,)
    return min((size for size in sizes if size >= need), default=max(sizes))


def _estimate_cost(
    measured: Measured, workload: Workload, target: Target, facts_dir: Path | None
) -> tuple[float | None, str]:
    """Dollars for a million rows, and how they were reckoned."""
    if measured.answer_seconds is None:
        return None, "not reckoned: no answer was timed"
    whole = measured.answer_seconds * workload.rows / measured.rows
    function = prices.function(target.name, facts_dir)
    if function is not None:
        memory = _memory_mb(measured, target)
        seconds = whole / min(1.0, memory / target.limits.whole_cpu_mb)
        each = function.million_requests / 1e6 + memory / 1024 * seconds * function.gb_second
        return each / workload.rows * 1e6, (
            f"{memory} MB for {seconds * 1000:.3g} ms a request, {workload.rows} rows each "
            f"({function.told})"
        )
    machine = prices.machine(target.name, facts_dir)
    if machine is None:
        return None, "not reckoned: no price is known"
    # its GPU was not measured: reckoned with its CPUs, which is the most that it can cost
    busy = workload.requests_per_second * whole / machine.vcpu / _USED
    count = max(1, math.ceil(busy))
    per_second = workload.requests_per_second * workload.rows
    return machine.hour * count / 3600 / per_second * 1e6, (
        f"{count} x {machine.name}, day and night, by its CPUs' speed; a GPU that answers faster "
        f"takes fewer ({machine.told})"
    )
