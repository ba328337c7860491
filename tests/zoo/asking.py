"""Fresh rows for a built model, and how far its answers are from those of the registered one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager import targets
from packager.commands import artifact
from packager.commands.local_boot import prepare_boot
from packager.targets.hosts import HOSTS, Call
from packager.types import Json

ROUNDING: Final = 1e-9
"""How far apart, in relation to their size, numbers may be: sums in another order, no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    rows: int
    largest: float
    """Of two numbers in the same place, in relation to the larger."""
    wrong: tuple[str, ...]
    """A sentence for each request that is answered otherwise."""


def ask_artifact(
    folder: Path, requests: list[Json], *, network: bool = False
) -> list[tuple[int, str]]:
    """Boot the artifact as its target would, and send it each request over HTTP.

    The function reaches nothing else, unless `network` says so.
    """
    built = artifact.read(folder)
    target = targets.load(built.target)
    minor = artifact.read_manifest(built.folder / target.tree.home).python
    calls = [
        Call(body=json.dumps(each).encode(), content_type="application/json", door="http")
        for each in requests
    ]
    with (
        prepare_boot(built, target, minor, network=network) as boot,
        HOSTS[target.program.host](boot) as function,
    ):
        answers = [function.ask(call) for call in calls]
    return [(answer.status, answer.text) for answer in answers]


def compare_requests(
    expected: list[tuple[int, str]], actual: list[tuple[int, str]], *, is_chance: bool = False
) -> Difference:
    """Compare answer by answer: the status, then every value of it; by kind where it is chance."""
    rows, largest, wrong = 0, 0.0, []
    for number, ((status, text), (got_status, got_text)) in enumerate(
        zip(expected, actual, strict=True)
    ):
        if status != got_status:
            wrong.append(f"request {number}: {got_status} for {status}: {got_text[:200]}")
            continue
        if status != 200:
            continue
        answer = json.loads(text)
        got = json.loads(got_text)
        if is_chance:
            answer, got = (_replace_numbers(each) for each in (answer, got))
        difference = measure_difference(answer, got)
        predictions = answer.get("predictions") if isinstance(answer, dict) else answer
        rows += len(predictions) if isinstance(predictions, list) else 1
        largest = max(largest, difference)
        if difference > ROUNDING:
            wrong.append(f"request {number}: answers part by {difference:g}")
    return Difference(rows=rows, largest=largest, wrong=tuple(wrong))


def measure_difference(one: Json, other: Json) -> float:
    """Measure how far two answers part; infinite where they differ in more than a number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return 0.0 if one is other else math.inf
    if isinstance(one, int | float) and isinstance(other, int | float):
        if one == other or (math.isnan(one) and math.isnan(other)):
            return 0.0
        if not (math.isfinite(one) and math.isfinite(other)):
            return math.inf
        return abs(one - other) / max(abs(one), abs(other))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(measure_difference, one, other), default=0.0)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((measure_difference(one[key], other[key]) for key in one), default=0.0)
    return 0.0 if type(one) is type(other) and one == other else math.inf


def _replace_numbers(answer: Json) -> Json:
    """The answer with one number in place of each: its shape and its kinds."""
    if isinstance(answer, list):
        return [_replace_numbers(each) for each in answer]
    if isinstance(answer, dict):
        return {key: _replace_numbers(each) for key, each in answer.items()}
    return 1.0 if isinstance(answer, float) else answer
