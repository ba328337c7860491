"""Rows with one cell changed, asked one by one, or many in one table where there are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Dict, Final, List, NamedTuple

import numpy as np

from packager.engines.proof import parity, test_rows
from packager.engines.proof.inputs import Inputs
from packager.engines.proof.parity import Batch, Predict
from packager.engines.proof.test_rows import Array, Table

_SPECIAL: Final = (
    np.nan, np.inf, -np.inf, 1e300, -1e300, 1e30, 1e15, -1e15, 1e6, -1e6, 0.0, -0.0, 5e-324,
)  # fmt: skip
"""At 1e15 a distance to a value round 1, made of squares, has lost all but its last bits."""
_UNSEEN: Final = ("", "a category that was never seen", "\u00e9t\u00e9")
_MOST_CELLS: Final = 64
"""Cells of a tensor that extremes are tried in."""
_MOST_NUMBERS: Final = 64
"""Categories that are numbers, of all encoders together."""
_COLUMNS_ALONE: Final = 100
"""Columns up to which each change of one is a request of its own."""
_WORDS_ALONE: Final = 256
"""Words up to which each is a request of its own, in each column of text."""
_DRAWN_COLUMNS: Final = 16
"""Of the columns that are changed in the same way, those asked alone beside a table of all."""
_DRAWN_WORDS: Final = 64
_CELLS: Final = 4_000_000
"""Of one table of changes."""
_BISECTED: Final = 400
"""Requests at most for which rows of a table the model refuses, where it answers others."""

_PLACES: Final = "\0place"
"""Name of the numbers of a table's rows while it is halved."""


class Change(NamedTuple):
    """A column's cell and what is put there."""

    column: str
    what: str
    value: object
    beside: bool = False
    """Whether the rows as they are come with it."""

    @property
    def name(self) -> str:
        return f"{self.column} {self.what}"

    def make_table(self, rows: Table) -> Table:
        made = test_rows.with_value(rows, self.column, self.value)
        return test_rows.join_tables([made, rows]) if self.beside else made


class Group(NamedTuple):
    """Changes of one kind, each a row of one table."""

    name: str
    changes: List[Change]
    drawn: int
    """How many are asked alone too."""


def list_changes(rows: Table, inputs: Inputs, seen: frozenset[str | float]) -> Iterator[Change]:
    """One column that is missing, extreme, unseen, or a category that was seen."""
    words = sorted(each for each in seen if isinstance(each, str))
    numbers = sorted(each for each in seen if not isinstance(each, str))
    numbers = [*numbers[:_MOST_NUMBERS], numbers[-1] + 1, numbers[0] - 1] if numbers else []
    types = {column.name: column.type for column in inputs.columns}
    # of a picture some cells will do
    every = max(1, len(rows) // _MOST_CELLS) if inputs.tail else 1
    for name, column in list(rows.items())[::every]:
        if column.dtype.kind in "fiub":
            for value in _list_extremes(column, numbers):
                yield Change(name, f"is {value}", value)
        elif types.get(name) == "string":
            for word in (*_UNSEEN, *words):
                yield Change(name, f"is {word!r}", word)
            yield Change(name, "is missing", None)
            # pandas 3 makes NaN of a null that has words beside it
            yield Change(name, "is missing beside words", None, beside=True)


def _list_extremes(column: Array, numbers: Sequence[float]) -> Sequence[float]:
    """Values of a column of numbers or truths; `numbers` are those that the model has seen."""
    dtype = column.dtype
    if dtype.kind == "f":
        return (*_SPECIAL, *numbers)
    if dtype.kind == "b":
        return (False, True)
    ends = np.iinfo(dtype)
    return (0, -1, ends.min, ends.max, *(each for each in numbers if each % 1 == 0))


def ask_changes(
    rows: Table,
    changes: Iterable[Change],
    known: Mapping[str, Sequence[object]],
    predict: Predict,
    rng: np.random.Generator,
) -> tuple[list[Batch], int, int]:
    """Return the answers to the rows, changed; how many changes were asked, out of how many.

    `known` are the words that a column's own encoders have seen.
    """
    every = list(changes)
    alone, groups = _divide(every, known)
    batches = [
        batch
        for change in alone
        for batch in parity.record_batches(change.name, change.make_table(rows), predict)
    ]
    asked = len(alone)
    for group in groups:
        found, count = _ask_group(rows, group, predict, rng)
        batches += found
        asked += count
    return batches, asked, len(every)


def _divide(
    changes: Sequence[Change], known: Mapping[str, Sequence[object]]
) -> tuple[list[Change], list[Group]]:
    """Those that are asked alone, and the groups of those that are too many for that."""
    wide = len({each.column for each in changes}) > _COLUMNS_ALONE
    words = Counter(each.column for each in changes if isinstance(each.value, str))
    seen = {
        column: frozenset(known.get(column, ()))
        for column, count in words.items()
        if count > _WORDS_ALONE
    }
    alone: List[Change] = []
    grouped: Dict[str, Group] = {}
    for each in changes:
        if each.column in seen and isinstance(each.value, str):
            known_ones = "its words" if each.value in seen[each.column] else "other words"
            group = Group(f"{each.column}: {known_ones}", [], _DRAWN_WORDS)
        elif wide:
            group = Group(f"a column {each.what}", [], _DRAWN_COLUMNS)
        else:
            alone.append(each)
            continue
        grouped.setdefault(group.name, group).changes.append(each)
    return alone, list(grouped.values())


def _ask_group(
    rows: Table, group: Group, predict: Predict, rng: np.random.Generator
) -> tuple[list[Batch], int]:
    """One table of all that there is room for, and some alone; how many of the changes these are.

    Where the table is refused and each of the drawn ones too, it is taken that all are.
    """
    drawn = _draw(group.changes, group.drawn, rng)
    batches = [
        batch
        for each in drawn
        for batch in parity.record_batches(each.name, each.make_table(rows), predict)
    ]
    chosen = _draw(group.changes, max(group.drawn, _CELLS // len(rows)), rng)
    table, cells = _stack_changes(rows, chosen), [each.name for each in chosen]
    places = np.arange(len(chosen))

    def ask(part: Table) -> object:
        return predict({name: column for name, column in part.items() if name != _PLACES})

    numbered = {**table, _PLACES: places}
    if all(each.expected is None for each in batches) and _is_refused(ask, numbered):
        return batches, len(drawn)
    found = [
        _name_rows(each, cells)
        for each in parity.record_batches(group.name, numbered, ask, most=_BISECTED)
    ]
    return batches + found, sum(test_rows.size(each.table) for each in found)


def _name_rows(batch: Batch, names: Sequence[str]) -> Batch:
    table = dict(batch.table)
    places = table.pop(_PLACES)
    return Batch(batch.name, table, batch.expected, tuple(names[at] for at in places))


def _is_refused(ask: Predict, table: Table) -> bool:
    return parity.record_batches("", table, ask, most=1) == []


def _draw(changes: Sequence[Change], most: int, rng: np.random.Generator) -> list[Change]:
    if len(changes) <= most:
        return list(changes)
    return [changes[at] for at in sorted(rng.choice(len(changes), most, replace=False))]


def _stack_changes(rows: Table, changes: Sequence[Change]) -> Table:
    """A row for each change, of the rows in turn."""
    turns = np.arange(len(changes)) % test_rows.size(rows)
    table = test_rows.take_rows(rows, turns)
    for at, each in enumerate(changes):
        cell = test_rows.with_value({each.column: rows[each.column][:1]}, each.column, each.value)
        table[each.column][at] = cell[each.column][0]
    return table
