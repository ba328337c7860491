"""Columns whose values tell where two models' answers differ."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from packager.commands.difference.result import Column, ColumnGroup
from packager.types import Json

_FEW: Final = 8
"""Values of a column that stay groups of their own; more numbers are cut at their quartiles."""
_SMALLEST: Final = 5
"""Rows that a group needs to be named."""
_LEAST: Final = 0.02
"""Share of the variance below which a column tells nothing that chance would not."""
_MOST: Final = 10
_LONGEST: Final = 40
_MISSING: Final = "missing"
_OTHERS: Final = "other values"


def explain_by_columns(
    rows: Sequence[Mapping[str, Json]], measures: Sequence[float]
) -> list[Column]:
    """Return the columns that explain most of the measure, each with its groups.

    That share is eta squared, adjusted for the groups as R squared is for predictors: of two
    hundred rows and four groups chance alone would explain more than a hundredth.
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name))
    found = [
        column
        for name in names
        if (column := _explain_column(name, [row.get(name) for row in rows], measures))
        and column["explains"] >= _LEAST
    ]
    return sorted(found, key=lambda each: -each["explains"])[:_MOST]


def _explain_column(name: str, values: Sequence[Json], measures: Sequence[float]) -> Column | None:
    groups: dict[str, list[float]] = {}
    for group, measure in zip(group_values(values), measures, strict=True):
        groups.setdefault(group, []).append(measure)
    total, count = sum(measures) / len(measures), len(measures)
    spread = sum((each - total) ** 2 for each in measures)
    if spread == 0 or len(groups) < 2 or count <= len(groups):
        return None
    within = sum(
        (each - statistics.fmean(members)) ** 2 for members in groups.values() for each in members
    )
    explains = 1 - (within / (count - len(groups))) / (spread / (count - 1))
    described = [
        ColumnGroup(values=group, rows=len(members), measure=statistics.fmean(members))
        for group, members in groups.items()
        if len(members) >= _SMALLEST
    ]
    described.sort(key=lambda group: -group["measure"])
    return Column(name=name, explains=explains, groups=described)


def group_values(values: Sequence[Json]) -> list[str]:
    """Return the group of each value: a range of numbers, a value, or `missing`."""
    known = [each for each in values if each is not None]
    if len(set(map(_write_value, known))) > _FEW and all(map(_is_number, known)):
        return _cut_numbers(values, known)
    counts = Counter(map(_write_value, known))
    often = {text for text, _ in counts.most_common(_FEW)}
    return [
        _MISSING if each is None else text if (text := _write_value(each)) in often else _OTHERS
        for each in values
    ]


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cut_numbers(values: Sequence[Json], known: Sequence[float]) -> list[str]:
    low, middle, high = statistics.quantiles(known, n=4)
    ranges = (
        (low, f"to {low:.4g}"),
        (middle, f"{low:.4g} to {middle:.4g}"),
        (high, f"{middle:.4g} to {high:.4g}"),
    )
    return [
        _MISSING
        if each is None
        else next((words for end, words in ranges if each <= end), f"above {high:.4g}")
        for each in values
    ]


def _write_value(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
