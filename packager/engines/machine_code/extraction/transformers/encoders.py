"""Encoders of categories: words and numbers become positions, and these ones or numbers."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Column,
    Table,
    as_numbers,
    common_kind,
    gather,
    join_tables,
    table_of,
)

UNKNOWN = -1
_WHOLE = 2.0**53
"""Up to here a double holds every whole number."""


def is_null(value: object) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def find_positions(
    program: Program, table: Table, categories: Sequence[Array], *, refuses: bool
) -> list[Block]:
    """The position of each column's value among its categories, -1 where it is none of them."""
    if len(categories) != table.width:
        raise UnsupportedError("categories for other columns than there are")
    numbers = [column.block.kind != "text" for column in table.columns]
    if all(numbers):
        common = common_kind(table)
        table = table_of(as_numbers(program, table, (common,)))
    elif any(numbers):
        table = join_tables([_read_alone(program, column) for column in table.columns])
    return [
        _find_number(program, column, known, refuses=refuses)
        if column.block.kind != "text"
        else _find_word(program, column, known, refuses=refuses)
        for column, known in zip(table.columns, categories)
    ]


def _read_alone(program: Program, column: Column) -> Table:
    """A column of numbers beside words: read by itself, and infinity is refused in it."""
    if column.block.kind == "text":
        return Table((column,))
    kind = common_kind(Table((column,)))
    block = gather(program, Table((column,)), kind)
    if kind in ("double", "float"):
        block = program.add("refuse", [block], kind, 1, nan=False, infinite=True, wide=False)
    return table_of(block)


def _find_word(program: Program, column: Column, known: Array, *, refuses: bool) -> Block:
    values = list(known)
    nulls = [at for at, each in enumerate(values) if is_null(each)]
    words = {
        each.encode("utf-8", "surrogatepass"): at
        for at, each in enumerate(values)
        if isinstance(each, str)
    }
    if len(words) + len(nulls) != len(values):
        raise UnsupportedError("categories of a text column that are no words")
    ordered = sorted(words)
    offsets = np.cumsum([0] + [len(each) for each in ordered]).astype(np.int64)
    return program.add(
        "find_word",
        [column.block],
        "int64",
        1,
        words=np.frombuffer(b"".join(ordered), np.uint8),
        offsets=offsets,
        positions=np.array([words[each] for each in ordered], np.int64),
        missing=next((at for at in nulls if values[at] is None), UNKNOWN),
        missing_nan=next((at for at in nulls if values[at] is not None), UNKNOWN),
        refuses=bool(refuses),
    )


def _find_number(program: Program, column: Column, known: Array, *, refuses: bool) -> Block:
    values = np.asarray(known)
    if values.dtype.kind not in "fiub":
        raise UnsupportedError("categories of a column of numbers that are no numbers")
    wide = values.astype(np.float64)
    if values.dtype.kind in "iu" and (np.abs(wide) > _WHOLE).any():
        raise UnsupportedError("categories beyond the whole numbers that a double holds")
    nulls = np.flatnonzero(np.isnan(wide))
    order = np.argsort(wide, kind="stable")
    order = order[~np.isnan(wide[order])]
    return program.add(
        "find_number",
        [column.block],
        "int64",
        1,
        at=column.at,
        numbers=np.ascontiguousarray(wide[order]),
        positions=order.astype(np.int64),
        missing=int(nulls[0]) if len(nulls) else UNKNOWN,
        refuses=bool(refuses),
    )


@index.reads(TRANSFORMERS, "sklearn.OneHotEncoder")
def encode_as_ones(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for numbers that are neither floats nor int64."""
    unknown = model.handle_unknown
    if unknown not in ("ignore", "error", "warn", "infrequent_if_exist"):
        raise UnsupportedError(f"a OneHotEncoder with handle_unknown={unknown!r}")
    kind = _answer_kind(model)
    positions = find_positions(program, table, model.categories_, refuses=unknown == "error")
    dropped = getattr(model, "_drop_idx_after_grouping", model.drop_idx_)
    parts = []
    for at, (block, known) in enumerate(zip(positions, model.categories_)):
        groups = group_infrequent(model, at, len(known))
        count = max(groups) + 1
        place = block
        # a group of one category that is the last moves none, and takes unseen words all the same
        if has_infrequent(model, at):
            rest = UNKNOWN if unknown in ("ignore", "error") else count - 1
            codes = np.array([*groups, rest], np.float64)
            place = program.add("look_up", [block], "int64", 1, at=0, constants=codes)
        without = None if dropped is None else dropped[at]
        skipped = UNKNOWN if without is None else int(without)
        width = count - (skipped != UNKNOWN)
        if width:
            ones = program.add("one_hot", [place], kind, width, at=0, dropped=skipped)
            parts.append(table_of(ones))
    return join_tables(parts)


def has_infrequent(model: Fitted, at: int) -> bool:
    """Tell whether some categories of a column share a place."""
    enabled = getattr(model, "_infrequent_enabled", False)
    return bool(enabled) and model._default_to_infrequent_mappings[at] is not None


def group_infrequent(model: Fitted, at: int, count: int) -> list[int]:
    """By category its place among the frequent ones; all infrequent ones share the last."""
    if has_infrequent(model, at):
        return [int(each) for each in model._default_to_infrequent_mappings[at]]
    return list(range(count))


@index.reads(TRANSFORMERS, "sklearn.OrdinalEncoder")
def encode_as_numbers(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for numbers that are neither floats nor int64."""
    kind = _answer_kind(model)
    refuses = model.handle_unknown == "error"
    positions = find_positions(program, table, model.categories_, refuses=refuses)
    unknown = 0.0 if kind == "int64" else np.nan
    other = unknown if refuses else float(model.unknown_value)
    parts = []
    for place, (block, known) in enumerate(zip(positions, model.categories_)):
        codes = np.array([*group_infrequent(model, place, len(known)), other], np.float64)
        for at, each in enumerate(known):
            if is_null(each):
                codes[at] = getattr(model, "encoded_missing_value", np.nan)
        parts.append(table_of(program.add("look_up", [block], kind, 1, at=0, constants=codes)))
    return join_tables(parts)


def _answer_kind(model: Fitted) -> str:
    name = np.dtype(model.dtype).name
    kinds = {"float64": "double", "float32": "float", "int64": "int64"}
    if name not in kinds:
        raise UnsupportedError(f"an encoder that answers with {name}")
    return kinds[name]
