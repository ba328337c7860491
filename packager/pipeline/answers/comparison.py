"""Comparison of two decoded JSON answers: whether they are the same, and where they part.

This file imports the standard library alone, and runs on Python 3.8: an artifact takes it along as
it is, for the check of what is deployed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ROUNDING_ALLOWANCE: Final = 4.0
"""What an answer may part by, of the largest difference seen: so few answers never meet it."""
_LONGEST: Final = 60
_INDEX: Final = re.compile(r"\b(row|item) \d+")


@dataclass(frozen=True)
class Difference:
    where: str
    """`predictions, row 3, "score"`"""
    expected: str
    actual: str
    error: float = 0.0
    """Absolute, where both are numbers."""
    same_kind: bool = False
    """Whether both are of one JSON type: two numbers, two strings."""
    size: float = math.nan
    """Of the expected value, where both are floats."""

    def within(self, rtol: float, atol: float) -> bool:
        """Tell whether two floats are as near as was asked for; nothing else ever is."""
        return math.isfinite(self.error) and self.error <= atol + rtol * self.size

    @property
    def place(self) -> str:
        """`where`, whatever the row."""
        return place(self.where)

    def __str__(self) -> str:
        apart = f" ({self.error:.3g} apart)" if self.error else ""
        return f"{self.where}: expected {self.expected}, got {self.actual}{apart}"


def place(where: str) -> str:
    """`predictions, any row, 'score'` for each row's."""
    return _INDEX.sub(r"any \1", where)


def places(answer: object, where: str = "") -> set[str]:
    """Every place at which an answer has a leaf."""
    return {found for found, _ in read_leaves(answer, where)}


def read_leaves(answer: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Each leaf of an answer, with its place."""
    if isinstance(answer, dict):
        for key, each in answer.items():
            yield from read_leaves(each, f"{where}, {key!r}" if where else str(key))
    elif isinstance(answer, list):
        kind = "row" if where == "predictions" else "item"
        for each in answer:
            yield from read_leaves(each, f"{where}, any {kind}" if where else "any row")
    else:
        yield place(where or "answer"), answer


def differences(expected: object, actual: object, where: str = "") -> Iterator[Difference]:
    """Every leaf that differs: 1 is not 1.0, True is not 1, 0.0 is not -0.0, and NaN is NaN."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        yield from _compare_objects(expected, actual, where)
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _compare_lists(expected, actual, where)
    elif not _are_same(expected, actual):
        yield Difference(
            where or "answer",
            _shorten_value(expected),
            _shorten_value(actual),
            _error(expected, actual),
            type(expected) is type(actual),
            _size(expected, actual),
        )


def _compare_objects(
    expected: Mapping[str, object], actual: Mapping[str, object], where: str
) -> Iterator[Difference]:
    if set(expected) != set(actual):
        yield Difference(where or "answer", f"keys {sorted(expected)}", f"{sorted(actual)}")
        return
    for key in sorted(expected):
        inner = f"{where}, {key!r}" if where else str(key)
        yield from differences(expected[key], actual[key], inner)


def _compare_lists(
    expected: Sequence[object], actual: Sequence[object], where: str
) -> Iterator[Difference]:
    if len(expected) != len(actual):
        counts = (f"{len(expected)} items", f"{len(actual)} items")
        yield Difference(where or "answer", *counts)
        return
    kind = "row" if where == "predictions" else "item"
    for at, (left, right) in enumerate(zip(expected, actual)):
        yield from differences(left, right, f"{where}, {kind} {at}" if where else f"row {at}")


def split_differences(
    expected: object,
    actual: object,
    *,
    rounding: Mapping[str, float],
    chance: Collection[str],
    tolerance: tuple[float, float] | None = None,
) -> tuple[list[Difference], list[Difference]]:
    """(differences that nothing allows, those of rounding or within the tolerance).

    `rounding` has by place what the model's own answers part by; at a place of `chance` only the
    kind of value counts. `tolerance` is relative and absolute; None asks for every bit.
    """
    wrong, near = [], []
    for each in differences(expected, actual):
        if each.place in chance and each.same_kind:
            continue
        rounds = each.within(0.0, ROUNDING_ALLOWANCE * rounding.get(each.place, -1.0))
        if rounds or (tolerance is not None and each.within(*tolerance)):
            near.append(each)
        else:
            wrong.append(each)
    return wrong, near


def _are_same(expected: object, actual: object) -> bool:
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, float):
        # the shortest text that gives the same float back: it tells -0.0 from 0.0
        return repr(expected) == repr(actual)
    return bool(expected == actual)


def _error(expected: object, actual: object) -> float:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return 0.0
    if not isinstance(expected, (int, float)) or not isinstance(actual, (int, float)):
        return 0.0
    try:
        error = abs(float(expected) - float(actual))
    except OverflowError:  # a whole number with hundreds of digits
        return math.inf
    return error if math.isfinite(error) else math.inf


def _size(expected: object, actual: object) -> float:
    if isinstance(expected, float) and isinstance(actual, float):
        return abs(expected)
    return math.nan


def _shorten_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
