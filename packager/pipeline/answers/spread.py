"""Spread of a registered model's answers to one request: by rounding alone, or by chance.

Threads that add up finish in another order each time, so that the last digits of a sum move; a
model that draws at random gives another answer altogether. The first is compared within what was
measured, the second by its kind of value alone.
"""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from packager.pipeline.answers.comparison import (
    ROUNDING_ALLOWANCE,
    Difference,
    differences,
    read_leaves,
    split_differences,
)
from packager.types import Json, Spread

_UNITS: Final = 256
"""In the last place of the largest number at an output: what adding in another order may move."""
_DOUBLE: Final = 2.0**-52
_SINGLE: Final = 2.0**-23
_SHOWN: Final = 12


def measure_spread(groups: Iterable[Sequence[str]]) -> Spread:
    """The spread of answers, given as JSON; those of a group are to one and the same request.

    An output whose differences are all within a few units in the last place of its largest number
    parts by rounding; any other, and one where anything but a float differs, by chance.
    """
    parted: dict[str, list[Difference]] = defaultdict(list)
    numbers: dict[str, list[float]] = defaultdict(list)
    for group in groups:
        if all(text == group[0] for text in group[1:]):
            continue
        first, *others = (json.loads(text) for text in group)
        for other in others:
            for each in differences(first, other):
                parted[each.place].append(each)
        for answer in (first, *others):
            _collect_floats(answer, numbers)
    return _part_by_cause(parted, numbers)


def _part_by_cause(
    parted: Mapping[str, Sequence[Difference]], numbers: Mapping[str, Sequence[float]]
) -> Spread:
    rounding: dict[str, float] = {}
    chance: dict[str, float] = {}
    for place in sorted(parted):
        size = max(each.error for each in parted[place])
        floats = all(not math.isnan(each.size) for each in parted[place])
        if floats and size <= _reach_of_rounding(numbers[place]):
            rounding[place] = size
        else:
            chance[place] = size
    return Spread(rounding=rounding, chance=chance)


def _collect_floats(answer: object, into: Mapping[str, list[float]]) -> None:
    """Add an answer's floats by place; `into` makes a missing place's list."""
    for place, value in read_leaves(answer):
        if isinstance(value, float):
            into[place].append(value)


def _reach_of_rounding(values: Sequence[float]) -> float:
    finite = [abs(value) for value in values if math.isfinite(value)]
    unit = _SINGLE if _are_single(finite) else _DOUBLE
    return _UNITS * unit * max(finite, default=0.0)


def _are_single(values: Sequence[float]) -> bool:
    """Tell whether all are numbers of single precision, and not just whole ones."""
    try:
        single = all(struct.unpack("f", struct.pack("f", value))[0] == value for value in values)
    except OverflowError:
        return False
    return single and not all(value.is_integer() for value in values)


def read_unexplained(
    expected: object, actual: object, spread: Spread
) -> tuple[list[Difference], list[Difference]]:
    """(differences that the spread does not explain, those that are rounding's)."""
    return split_differences(
        expected, actual, rounding=spread.rounding, chance=spread.chance.keys()
    )


def answers_agree(expected: str, actual: str, spread: Spread) -> bool:
    """Tell whether two answers, as text, are the same but for the model's own spread."""
    if expected == actual:
        return True
    if not spread.rounding and not spread.chance:
        return False
    try:
        wrong, _ = read_unexplained(_read_answer(expected), _read_answer(actual), spread)
    except ValueError:
        return False  # the words of an exception
    return not wrong


def _read_answer(text: str) -> Json:
    """The model's answer in what a function returned: HTTP's body where it is one."""
    found = json.loads(text)
    if isinstance(found, list) and len(found) == 2 and isinstance(found[1], str):
        return json.loads(found[1])
    if isinstance(found, dict) and isinstance(found.get("body"), str):
        return json.loads(found["body"])
    return found


def describe_outputs(sizes: Mapping[str, float]) -> str:
    """`predictions, any row (by 0.25)` for each, the first few."""
    pairs = sorted(sizes.items())
    more = len(pairs) - _SHOWN
    shown = "; ".join(_describe(place, size) for place, size in pairs[:_SHOWN])
    return f"{shown}; and {more} more" if more > 0 else shown


def _describe(place: str, size: float) -> str:
    return f"{place} (by {size:.3g})" if size else place


def describe_spread(spread: Spread) -> Iterator[str]:
    """A sentence for the evidence about each way in which the model's own answers part."""
    if spread.chance:
        yield (
            "The registered model draws at random, and answers otherwise when asked again, at: "
            f"{describe_outputs(spread.chance)}. There, only the kind of value was compared."
        )
    if spread.rounding:
        yield (
            "The registered model adds up in another order each time, so that last digits move, "
            f"at: {describe_outputs(spread.rounding)}. There, the artifact's numbers were allowed "
            f"{ROUNDING_ALLOWANCE:g} times that; all else, labels too, had to be the same."
        )
