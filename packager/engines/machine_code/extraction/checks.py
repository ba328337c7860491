"""Values that a fitted object refuses: it is asked once with each, and the form refuses them too.

Which of them a class takes has changed from version to version; the object itself knows.
"""

from __future__ import annotations

import warnings

import numpy as np

from packager.engines.machine_code.extraction.program import Array, Block, Fitted, Program
from packager.engines.machine_code.extraction.tables import Table, as_numbers

_FLOATS = ("double", "float")
_WIDE = 1e39
"""Finite as a double, infinite as a float."""


def check_values(model: Fitted, method: str, program: Program, table: Table) -> Table:
    """The table as numbers of which those are refused that the object refuses.

    The table is left as it is where it has text, or holds whole numbers alone.
    """
    kinds = {column.block.kind for column in table.columns}
    if not table.width or "text" in kinds or not kinds & set(_FLOATS):
        return table
    row = find_row(model, table.width)
    ask = getattr(model, method, None)
    if ask is None or refuses(ask, row):
        return table
    nan, infinite, wide = (refuses(ask, put_first(row, value)) for value in (np.nan, np.inf, _WIDE))
    if not (nan or infinite):
        return table
    block = as_numbers(program, table, _FLOATS)
    checked = program.add(
        "refuse", [block], block.kind, block.width, nan=nan, infinite=infinite, wide=wide
    )
    return Table(
        tuple(column._replace(block=checked, at=at) for at, column in enumerate(table.columns))
    )


def find_row(model: Fitted, width: int) -> Array:
    """A row that is taken: an encoder's first categories, or zeros."""
    known = getattr(model, "categories_", None)
    if known is None or len(known) != width:
        return np.zeros((1, width))
    try:
        return np.array([[each[0] for each in known]], np.float64)
    except (TypeError, ValueError):
        return np.zeros((1, width))


def put_first(row: Array, value: float) -> Array:
    changed = row.copy()
    changed[0, 0] = value
    return changed


def refuses(ask: Fitted, row: Array) -> bool:
    """Whatever an object raises is its refusal."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            ask(row)
        except Exception:  # noqa: BLE001 - a model may raise anything: that is its answer
            return True
    return False


def refuse_below(program: Program, block: Block, least: float, *, equal: bool) -> Block:
    """Refuse a row with a number below the least, or at it."""
    constants = np.full(block.width, least)
    return program.add(
        "refuse_below",
        [block],
        block.kind,
        block.width,
        constants=constants,
        equal=equal,
        refuses=True,
    )
