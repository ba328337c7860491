"""Rows that a graph is held to the model with: drawn ones, and those made to part the two."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from packager.engines.proof.inputs import Inputs

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Table = dict[str, Array]
    """One-dimensional arrays by column, in order; a tensor's columns go by their position."""
else:
    Array = Table = Any

DTYPES: Final[Mapping[str, Any]] = {
    "double": np.float64,
    "float": np.float32,
    "long": np.int64,
    "integer": np.int32,
    "boolean": np.bool_,
    "string": object,
}
_STEPS: Final = 70
"""Halvings that take any bracket of doubles to two neighbours, near enough."""


def size(table: Table) -> int:
    return len(next(iter(table.values())))


def stack_columns(table: Table, inputs: Inputs) -> Array:
    """The tensor whose cells the columns are, by position."""
    return np.stack(list(table.values()), axis=1).reshape(-1, *inputs.shape)


def take_rows(table: Table, at: slice | Array) -> Table:
    return {name: column[at] for name, column in table.items()}


def join_tables(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}


def with_value(row: Table, name: str, value: object) -> Table:
    """The same rows with one column changed, of the column's dtype."""
    dtype = row[name].dtype
    cells = np.full(size(row), value, dtype=object if dtype.kind == "O" else None)
    with np.errstate(over="ignore", invalid="ignore"):
        return {**row, name: cells.astype(dtype)}


def fill_categories(
    table: Table, known: Mapping[str, Sequence[str | float]], rng: np.random.Generator
) -> Table:
    """The same rows, with categories that are known drawn into their columns."""
    filled = dict(table)
    for name, values in known.items():
        dtype = table[name].dtype
        fitting = [each for each in values if _can_hold(dtype, each)]
        if fitting:
            cells = np.array(fitting, object if dtype.kind == "O" else np.float64)
            with np.errstate(over="ignore"):
                filled[name] = cells.astype(dtype)[rng.integers(0, len(fitting), size(table))]
    return filled


def _can_hold(dtype: npt.DTypeLike, value: str | float) -> bool:
    """Tell whether a column of this dtype can have a category."""
    kind = np.dtype(dtype).kind
    if isinstance(value, str) or kind not in "iu":
        return kind == "O" if isinstance(value, str) else kind == "f"
    ends = np.iinfo(dtype)
    return value % 1 == 0 and ends.min <= value < ends.max


def neighbours(threshold: float, dtype: npt.DTypeLike) -> list[float]:
    """A threshold and the nearest values round it that a column of this dtype can hold."""
    if np.dtype(dtype).kind in "iu":
        whole = np.floor(threshold)
        return [whole - 1, whole, whole + 1]
    narrow = np.float32(threshold)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    near = [narrow, np.nextafter(narrow, up), np.nextafter(narrow, down)]
    if np.dtype(dtype) == np.float64:
        wide = np.float64(threshold)
        # halfway between two floats is where rounding to float turns
        halves = [(np.float64(near[0]) + np.float64(each)) / 2 for each in near[1:]]
        near += [wide, np.nextafter(wide, np.inf), np.nextafter(wide, -np.inf), *halves]
    return near


def at_thresholds(
    table: Table, thresholds: Mapping[int, Array], most: int, rng: np.random.Generator
) -> tuple[Table | None, int, int]:
    """Rows whose one cell is at a threshold or beside it; how many thresholds, out of how many."""
    names = list(table)
    places = [
        (names[at], float(value))
        for at, values in sorted(thresholds.items())
        if at < len(names) and table[names[at]].dtype.kind in "fiu"
        for value in values
    ]
    chosen = (
        places
        if len(places) <= most
        else [places[at] for at in sorted(rng.choice(len(places), most, replace=False))]
    )
    numbers: dict[str, list[int]] = {}
    cells: list[Any] = []
    for name, value in chosen:
        near = neighbours(value, table[name].dtype)
        numbers.setdefault(name, []).extend(range(len(cells), len(cells) + len(near)))
        cells += near
    if not cells:
        return None, 0, len(places)
    made = take_rows(table, rng.integers(0, size(table), len(cells)))
    for name, rows in numbers.items():
        made[name][rows] = np.array([cells[row] for row in rows])
    return made, len(chosen), len(places)


def lead_rows(
    table: Table, splits: Sequence[Any], most: int, rng: np.random.Generator
) -> tuple[Table | None, int, int]:
    """As `at_thresholds`, each row changed so far that it comes to the split that it is for."""
    names = list(table)
    chosen = list(splits)
    if len(chosen) > most:
        chosen = [chosen[at] for at in sorted(rng.choice(len(chosen), most, replace=False))]
    if not chosen:
        return None, 0, len(splits)
    base = np.stack([column.astype(np.float64) for column in table.values()], axis=1)
    starts = base[rng.integers(0, len(base), len(chosen))]
    cells: list[Sequence[float]] = []
    for row, split in zip(starts, chosen):
        for feature, (low, high) in split.bounds.items():
            if not low < row[feature] <= high:
                row[feature] = between(low, high)
        for feature, value in split.fixed.items():
            row[feature] = value
        dtype = table[names[split.feature]].dtype
        cells.append(_cells(split.cells, dtype) or neighbours(split.threshold, dtype))
    counts = [len(each) for each in cells]
    made = np.repeat(starts, counts, axis=0)
    places = np.repeat([split.feature for split in chosen], counts)
    made[np.arange(len(made)), places] = np.concatenate(
        [np.array(each, np.float64) for each in cells]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        filled = {name: made[:, at].astype(table[name].dtype) for at, name in enumerate(names)}
    return filled, len(chosen), len(splits)


def _cells(values: Sequence[float], dtype: npt.DTypeLike) -> list[float]:
    return [each for each in values if np.dtype(dtype).kind == "f" or not math.isnan(each)]


def between(low: float, high: float) -> float:
    """Some number above the first and not above the second; a whole one where that can be."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    if math.isinf(low) or math.isinf(high):
        near, away = (high, -1.0) if math.isinf(low) else (low, 1.0)
        return float(math.floor(near + away * (1.0 + abs(near) / 10)))
    middle = low + (high - low) / 2
    whole = float(math.ceil(middle))
    if low < whole <= high:
        return whole
    return middle if middle > low else high


class Crossing(NamedTuple):
    """Values that a feature crosses as one column goes from `-spread` to `spread`."""

    name: str
    feature: int
    values: Array
    spread: float
    rising: bool


def through(
    transform: Callable[[Table], Array],
    table: Table,
    thresholds: Mapping[int, Array],
    most: int,
    rng: np.random.Generator,
) -> tuple[Table | None, int, int]:
    """As `at_thresholds`, where a `transform` stands between the inputs and the trees.

    For each threshold a column is looked for that moves the feature across it, and halved down to
    the two neighbouring inputs between which the feature crosses.
    """
    total = sum(len(values) for values in thresholds.values())
    if not total:
        return None, 0, 0
    numbers = [name for name, column in table.items() if column.dtype.kind in "fiu"]
    base = take_rows(table, rng.integers(0, size(table), 1))
    crossings: list[Crossing] = []
    done = 0
    for name in numbers:
        spread = float(np.nanmax(np.abs(table[name]), initial=1.0)) * 4 + 1
        low, high = with_value(base, name, -spread), with_value(base, name, spread)
        try:
            ends = np.asarray(transform(join_tables([low, high])), dtype=np.float64)
        except Exception:  # noqa: BLE001, S112 - an encoder that knows its values refuses any other
            continue
        for feature in np.flatnonzero(ends[0] != ends[1]):
            room = most - done
            values = thresholds.get(int(feature), np.array([]))[: max(0, room)]
            inside = values[(values > ends[:, feature].min()) & (values < ends[:, feature].max())]
            if len(inside):
                rising = bool(ends[1, feature] > inside[0])
                crossings.append(Crossing(name, int(feature), inside, spread, rising))
                done += len(inside)
    return (_bisect_thresholds(transform, base, crossings) if crossings else None), done, total


def _bisect_thresholds(
    transform: Callable[[Table], Array], base: Table, crossings: Sequence[Crossing]
) -> Table:
    """Halve down all crossings at once: a transform costs by the call more than by the row."""
    counts = [len(each.values) for each in crossings]
    ends = np.cumsum(counts)
    places = [slice(int(end) - count, int(end)) for end, count in zip(ends, counts)]
    rows = take_rows(base, np.zeros(int(ends[-1]), dtype=int))
    values = np.concatenate([each.values for each in crossings])
    features = np.repeat([each.feature for each in crossings], counts)
    rising = np.repeat([each.rising for each in crossings], counts)
    high = np.repeat([each.spread for each in crossings], counts)
    low = -high

    def fill(cells: Array) -> Table:
        filled = dict(rows)
        for each, place in zip(crossings, places):
            column = filled[each.name] = filled[each.name].copy()
            column[place] = cells[place].astype(column.dtype)
        return filled

    every = np.arange(len(values))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        got = np.asarray(transform(fill(middle)))[every, features]
        below = (np.asarray(got, dtype=np.float64) <= values) == rising
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    # of each crossing what lies before it, then what lies behind it
    both = [fill(low), fill(high)]
    return join_tables([take_rows(table, place) for place in places for table in both])


def beyond(row: Table, within: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, Table]]:
    """Single rows with one cell just beyond an end of what the model answers."""
    for name, ends in within.items():
        for end in ends:
            value = float(np.nextafter(end, math.copysign(np.inf, end)))
            yield f"{name} is {value}", with_value(row, name, value)
