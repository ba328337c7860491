"""Recorded requests of the proof, asked again of what is deployed.

This file imports the standard library alone, and runs on Python 3.8: an artifact takes it along as
it is, beside the comparison.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypedDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TypeAlias

    class Difference(Protocol):
        """Leaf of an answer that differs."""

        @property
        def where(self) -> str: ...
        @property
        def error(self) -> float: ...

    class Split(Protocol):
        """`split_differences` of the comparison."""

        def __call__(
            self,
            expected: object,
            actual: object,
            *,
            rounding: Mapping[str, float],
            chance: Collection[str],
            tolerance: tuple[float, float] | None,
        ) -> tuple[Sequence[Difference], Sequence[Difference]]: ...


Ask: TypeAlias = "Callable[[object], tuple[object, str]]"
"""Asks one request, JSON as Python has it; returns (answer, why there is none or "")."""
_LISTED: Final = 5
"""Differences that a result names."""


class Rule(TypedDict):
    """By what the answers are compared, as the proof found it."""

    model_digest: str
    rounding: Mapping[str, float]
    chance: Collection[str]
    tolerance: tuple[float, float] | None


class Sample(TypedDict):
    """A recorded request, and the registered model's answer."""

    name: str
    rows: int
    request: object
    answer: object


class Found(TypedDict, total=False):
    """Requests that were asked, and differences; no value of a request or an answer."""

    passed: bool
    """Whether each request was asked, and no answer differs by more than the proof allows."""
    model_digest: str
    requests: int
    asked: int
    rows: int
    differing: int
    """Requests."""
    largest_difference: float
    differences: list[dict[str, object]]
    """The first few: request, where, apart."""
    seconds: float
    problem: str
    """Why not every request was asked."""


def ask_again(
    path: Path, ask: Ask, split: Split, *, has_time: Callable[[], bool] = lambda: True
) -> Found:
    """Ask all recorded requests, one after the other; say what differs.

    Raises what `ask` raises, and as `read_replay` does.
    """
    rule, samples = read_replay(path)
    started = time.monotonic()
    found = Found(
        model_digest=rule["model_digest"],
        requests=len(samples),
        asked=0,
        rows=0,
        differing=0,
        largest_difference=0.0,
        differences=[],
    )
    for sample in samples:
        if not has_time():
            found["problem"] = "The check ran out of time before every request was asked."
            break
        found["asked"] += 1
        found["rows"] += sample["rows"]
        _add_differences(found, sample["name"], list(_compare(sample, rule, ask, split)))
    found["seconds"] = round(time.monotonic() - started, 3)
    found["passed"] = 0 < len(samples) == found["asked"] and not found["differing"]
    return found


def read_replay(path: Path) -> tuple[Rule, list[Sample]]:
    """Read (rule of the comparison, requests and their answers).

    Raises OSError, and ValueError for a file that no build wrote.
    """
    with path.open(encoding="utf-8") as lines:
        rule, *samples = [json.loads(line) for line in lines] or [None]
    kinds = [(rule, Rule), *((each, Sample) for each in samples)]
    for each, kind in kinds:
        if not isinstance(each, dict) or not set(kind.__annotations__) <= set(each):
            raise ValueError("no recorded requests")
    if not samples:
        raise ValueError("no recorded requests")
    return rule, samples


def _compare(
    sample: Sample, rule: Rule, ask: Ask, split: Split
) -> Iterator[tuple[str, float, bool]]:
    """Yield (where, how far apart, whether it is allowed) for each leaf that differs."""
    answer, why = ask(sample["request"])
    if why:
        yield why, 0.0, False
        return
    wrong, near = split(
        sample["answer"],
        answer,
        rounding=rule["rounding"],
        chance=rule["chance"],
        tolerance=rule["tolerance"],
    )
    for differences, allowed in ((wrong, False), (near, True)):
        for each in differences:
            yield each.where, each.error, allowed


def _add_differences(found: Found, name: str, differences: list[tuple[str, float, bool]]) -> None:
    errors = [error for _, error, _ in differences]
    found["largest_difference"] = max([found["largest_difference"], *errors])
    wrong = [(where, error) for where, error, allowed in differences if not allowed]
    found["differing"] += bool(wrong)
    for where, error in wrong[: _LISTED - len(found["differences"])]:
        found["differences"].append({"request": name, "where": where, "apart": error})
