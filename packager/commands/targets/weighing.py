"""Choice between the ways to run a model whose weights fit no zip: by measured start, and by cost.

Its weights lie outside of a function, fetched or mounted, or in an image, or in a container. What
was built and measured is compared with what the other ways would be by the same measurements. A
way is built only while it would be chosen by these: what cannot be better is not built.

The rule is in `choose`. A start is its CPU time, measured, at the share of a CPU that the memory
gives, and the time to have the weights there, by a speed that a page states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packager import facts, targets
from packager.commands.targets import fit
from packager.commands.targets.costs import Way, choose_memory_mb
from packager.commands.targets.workload import Measured, Workload
from packager.types import Choice, Target, WeighedRow, Weights

_NEAR: Final = 1.1
_NEAR_DOLLARS: Final = 1.0
RULE: Final = (
    "The cheapest way is taken. Of the ways that cost at most a tenth or a dollar a month more, "
    "the one that starts first is taken"
)
_HOW: Final = {
    Weights.FETCH: "weights fetched",
    Weights.MOUNT: "weights mounted",
    Weights.PACKAGE: "weights inside",
}


@dataclass(frozen=True, slots=True)
class Option:
    """A target, and where the weights are there."""

    target: str
    weights: Weights

    @property
    def label(self) -> str:
        return f"{self.target}, {_HOW[self.weights]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """An option by what was measured on it, or by what was measured on another one."""

    option: Option
    is_measured: bool
    cpu_seconds: float
    """Of its start, with one whole CPU."""
    placing_seconds: float | None
    """To have the weights there; None where no speed is stated."""
    placing: str
    """The speed, and who states it."""
    way: Way | None
    """The cheapest; None where it cannot be priced."""
    refused: tuple[str, ...]
    """Why it is not taken; () where it fits."""

    share: float
    """Of a CPU, that its memory gives."""

    @property
    def start_seconds(self) -> float | None:
        if self.placing_seconds is None:
            return None
        return self.cpu_seconds / self.share + self.placing_seconds

    @property
    def order(self) -> float:
        """Seconds of a start to order by: an unknown time comes last."""
        return float("inf") if self.start_seconds is None else self.start_seconds

    @property
    def dollars(self) -> float:
        return self.way.dollars if self.way else float("inf")


Measure = Callable[[Option], Measured | str]
"""Builds an option: its measurements, or why there are none."""


def list_options(target_names: Sequence[str], facts_dir: Path | None) -> Iterator[Option]:
    """Yield each way to have weights on each target, in their order."""
    for name in target_names:
        support = targets.load(name, facts_dir).weights
        for way in () if support is None else support.ways:
            yield Option(name, way)
        yield Option(name, Weights.PACKAGE)


def choose(weighed: Sequence[Weighed]) -> Weighed | None:
    """Return the way that RULE takes; the first of several alike, None where none fits."""
    return min(_list_near(weighed), key=lambda each: each.order, default=None)


def _list_near(weighed: Sequence[Weighed]) -> list[Weighed]:
    """List the cheapest that fits, and those that cost about as little."""
    fitting = [each for each in weighed if not each.refused]
    least = min((each.dollars for each in fitting), default=0.0)
    return [each for each in fitting if each.dollars <= max(least * _NEAR, least + _NEAR_DOLLARS)]


def weigh(
    first: Option,
    measured: Measured,
    options: Sequence[Option],
    workload: Workload,
    measure: Measure,
    facts_dir: Path | None = None,
) -> tuple[Weighed, ...]:
    """Weigh the options, of which `first` was built; others are built while they would be chosen.

    `measured` has its weights outside. The result is in the order of `options`.
    """
    found = {
        each: _judge(each, _place(each, measured), measured, workload, facts_dir)
        for each in options
    }
    found[first] = replace(found[first], is_measured=True)
    while (winner := choose(list(found.values()))) and not winner.is_measured:
        option = winner.option
        got = measure(option)
        if isinstance(got, str):
            found[option] = replace(winner, refused=(got,))
        else:
            judged = _judge(option, got, measured, workload, facts_dir)
            found[option] = replace(judged, is_measured=True)
    return tuple(found.values())


def _place(option: Option, measured: Measured) -> Measured:
    """Return the measurements with the weights where an option has them."""
    if option.weights is not Weights.PACKAGE:
        return replace(measured, mounts_weights=option.weights is Weights.MOUNT)
    return replace(
        measured,
        unzipped_bytes=measured.unzipped_bytes + measured.weights_bytes,
        weights_bytes=0,
        outside_bytes=None,
        mounts_weights=False,
    )


def _judge(
    option: Option,
    found: Measured,
    outside: Measured,
    workload: Workload,
    facts_dir: Path | None,
) -> Weighed:
    """Judge an option by `found`; `outside` tells how large its weights are."""
    target = targets.load(option.target, facts_dir)
    seconds, placing = _time_weights(option, found, outside, target, facts_dir)
    timed = replace(found, reading_seconds=seconds)
    (verdict,) = fit.judge(timed, workload, [target], facts_dir)
    way = verdict.ways[0] if verdict.ways else None
    is_machine = way is not None and way.memory_mb is None
    memory = choose_memory_mb(found, target)
    return Weighed(
        option=option,
        is_measured=False,
        cpu_seconds=found.init_seconds or 0.0,
        placing_seconds=seconds,
        placing=placing,
        share=1.0 if is_machine else min(1.0, memory / target.limits.whole_cpu_mb),
        way=way,
        refused=verdict.reasons if way else (*verdict.reasons, verdict.reckoned),
    )


def _time_weights(
    option: Option, found: Measured, outside: Measured, target: Target, facts_dir: Path | None
) -> tuple[float | None, str]:
    """Estimate how long a start takes to have the weights there; with the speed, in words.

    None where nobody states a speed.
    """
    speeds = facts.speeds(option.target, facts_dir)
    if option.weights is Weights.FETCH and target.weights is not None:
        speed, support = target.weights.fetch_bytes_per_second, target.weights
        told = f"{speed / 1e6:.0f} MB/s ({support.source}, {support.as_of})"
        return outside.count_outside_bytes() / speed, told
    if option.weights is Weights.MOUNT and "mount" in speeds:
        size, stated = outside.count_outside_bytes(), speeds["mount"]
    elif "read" in speeds:
        size, stated = outside.weights_bytes, speeds["read"]
    elif "pull" in speeds:
        base = facts.base_image(option.target, facts_dir).size_bytes
        size, stated = base + found.unzipped_bytes, speeds["pull"]
    else:
        return None, ""
    return size / stated.bytes_per_second, stated.told


def describe_choice(weighed: Sequence[Weighed], workload: Workload, needed: str) -> Choice:
    """Return the comparison as plain values; `needed` says why there was one."""
    return {
        "needed": needed,
        "requests_per_second": workload.requests_per_second,
        "rows": workload.rows,
        "rule": RULE,
        "ways": [_describe(each, weighed) for each in weighed],
    }


def _describe(each: Weighed, weighed: Sequence[Weighed]) -> WeighedRow:
    return {
        "name": each.option.label,
        "target": each.option.target,
        "weights": str(each.option.weights),
        "chosen": each is choose(weighed),
        "measured": each.is_measured,
        "fits": not each.refused,
        "start_cpu_ms": each.cpu_seconds * 1000,
        "weights_seconds": each.placing_seconds,
        "weights_speed": each.placing,
        "start_seconds": each.start_seconds,
        "dollars_a_month": each.way.dollars if each.way else None,
        "way": each.way.label if each.way else "",
        "why": _explain(each, weighed),
    }


def _explain(each: Weighed, weighed: Sequence[Weighed]) -> str:
    chosen = choose(weighed)
    if each.refused or chosen is None:
        return "; ".join(each.refused)
    if each is chosen:
        return "chosen"
    would = "" if each.is_measured else "not built: by the same measurements it would "
    s = "s" if each.is_measured else ""
    if each not in _list_near(weighed):
        return f"{would}cost{s} ${each.dollars - chosen.dollars:,.2f} a month more"
    if each.start_seconds is None or chosen.start_seconds is None:
        return "not built: how fast a start has its weights there is stated nowhere"
    later = each.start_seconds - chosen.start_seconds
    return f"{would}start{s} {f'{later:.1f} s later' if later >= 0.05 else 'no sooner'}"


def format_start(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.1f} s"


def write_choice(choice: Choice) -> str:
    """Write the comparison as a section of Markdown."""
    lines = [
        "",
        "## Why this target",
        "",
        (
            f"{choice['needed']} At {choice['requests_per_second']:g} requests a second of "
            f"{choice['rows']:,} row{'s' * (choice['rows'] > 1)}, these ways were weighed. "
            f"{choice['rule']}."
        ),
        "",
        "| way | start | of it for the weights | dollars a month | |",
        "|---|---|---|---|---|",
    ]
    for row in choice["ways"]:
        dollars = row["dollars_a_month"]
        start, weights = (format_start(row[key]) for key in ("start_seconds", "weights_seconds"))
        lines.append(
            f"| {row['name']} | {start} | {weights} | "
            f"{'-' if dollars is None else f'{dollars:,.2f}'} | "
            f"{row['why'].replace('|', chr(92) + '|')} |"
        )
    speeds = {row["name"]: row["weights_speed"] for row in choice["ways"] if row["weights_speed"]}
    lines += [
        "",
        (
            "The CPU time of a start was measured on the machine that built it. The time for the "
            "weights is their size by a speed that others state:"
        ),
        "",
        *(f"- {name}: {speed}" for name, speed in speeds.items()),
    ]
    return "\n".join(lines) + "\n"
