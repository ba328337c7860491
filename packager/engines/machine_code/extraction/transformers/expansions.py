"""Products of columns, and B-splines of them."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    constants,
    stack,
    table_of,
    take,
)

_FLOATS = ("double", "float")


@index.reads(TRANSFORMERS, "sklearn.PolynomialFeatures")
def multiply_columns(model: Fitted, program: Program, table: Table) -> Table:
    """Each product is an earlier one times its first column, as scikit-learn multiplies them."""
    block = as_numbers(program, table, _FLOATS)
    powers = [tuple(int(each) for each in row) for row in model.powers_]
    wanted = list(powers)
    places: dict[tuple[int, ...], int] = {}
    before: list[int] = []
    factors: list[int] = []

    def place(power: tuple[int, ...]) -> int:
        if power in places:
            return places[power]
        degree = sum(power)
        first = next((at for at, each in enumerate(power) if each), -1)
        prior = -1
        if degree > 1:
            rest = list(power)
            rest[first] -= 1
            prior = place(tuple(rest))
        places[power] = len(before)
        before.append(prior)
        factors.append(first)
        return places[power]

    chosen = [place(power) for power in wanted]
    products = program.add(
        "products",
        [block],
        block.kind,
        len(before),
        before=np.array(before, np.int32),
        factors=np.array(factors, np.int32),
    )
    return table_of(take(program, products, chosen))


@index.reads(TRANSFORMERS, "sklearn.SplineTransformer")
def draw_splines(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for knots beyond which values are refused."""
    beyond = model.extrapolation
    if beyond not in ("constant", "linear", "continue", "periodic"):
        raise UnsupportedError(f"a SplineTransformer with extrapolation={beyond!r}")
    block = as_numbers(program, table, _FLOATS)
    parts = []
    for at, spline in enumerate(model.bsplines_):
        part = _draw_spline(program, block, at, spline, beyond)
        parts.append(part if model.include_bias else take(program, part, range(part.width - 1)))
    return table_of(stack(program, parts))


def _draw_spline(program: Program, block: Block, at: int, spline: Fitted, beyond: str) -> Block:
    degree = int(spline.k)
    knots = np.asarray(spline.t, np.float64)
    turns = degree if beyond == "periodic" else 0
    width = len(knots) - degree - 1 - turns
    ends = np.zeros((2, 2, width))
    if beyond != "periodic":
        for side, x in enumerate((knots[degree], knots[-degree - 1])):
            ends[side] = _evaluate(spline, x, width)
    reach = degree
    if beyond == "linear" and degree <= 1:
        reach = degree + 1
    return program.add(
        "spline",
        [block],
        block.kind,
        width,
        at=at,
        degree=degree,
        turns=turns,
        beyond=beyond,
        reach=min(reach, width),
        knots=knots,
        ends=constants(ends).ravel(),
    )


def _evaluate(spline: Fitted, x: float, width: int) -> Array:
    """Values and slopes of the splines at a point."""
    return np.stack([np.asarray(spline(x))[:width], np.asarray(spline(x, nu=1))[:width]])
