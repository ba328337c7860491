"""Columns brought to another distribution: bins, quantiles, powers; and their inverses."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import INVERSES, TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    combine,
    compute,
    gather,
    join_tables,
    table_of,
    version_of,
)
from packager.engines.machine_code.extraction.transformers.scalers import (
    clip,
    restore_standard,
)

_FLOATS = ("double", "float")
_BOUND = 1e-7
"""How near an end a value counts as there, before the normal distribution's quantile."""


@index.reads(TRANSFORMERS, "sklearn.KBinsDiscretizer")
def sort_into_bins(model: Fitted, program: Program, table: Table) -> Table:
    """Before 1.1 scikit-learn moved each value up a little before it was sorted.

    Values are read in the dtype that is answered, where one is given.
    """
    given = getattr(model, "dtype", None)
    kind = {None: "", "float64": "double", "float32": "float"}[given and np.dtype(given).name]
    source = as_numbers(program, table, (kind,) if kind else _FLOATS)
    if version_of("sklearn") < (1, 1):
        sizes = program.add("absolute", [source], source.kind, source.width)
        shares = compute(program, sizes, "*", np.float64(1e-5))
        room = compute(program, shares, "+", np.float64(1e-8))
        source = combine(program, source, "+", room)
    inner = [np.asarray(edges, np.float64)[1:-1] for edges in model.bin_edges_]
    positions = program.add(
        "digitize",
        [source],
        "int64",
        source.width,
        edges=np.concatenate(inner),
        starts=np.cumsum([0] + [len(each) for each in inner]).astype(np.int32),
    )
    if model.encode == "ordinal":
        return table_of(gather(program, table_of(positions), source.kind))
    parts = [
        program.add("one_hot", [positions], source.kind, int(bins), at=at, dropped=-1)
        for at, bins in enumerate(model.n_bins_)
    ]
    return join_tables([table_of(part) for part in parts])


@index.reads(TRANSFORMERS, "sklearn.QuantileTransformer")
def spread_evenly(model: Fitted, program: Program, table: Table) -> Table:
    """Mean of the broken lines from both directions, and each end's own answer."""
    source = as_numbers(program, table, _FLOATS)
    normal = model.output_distribution == "normal"
    xs, ys = np.asarray(model.quantiles_, np.float64), np.asarray(model.references_, np.float64)
    forward = draw_lines(program, source, xs.T, [ys] * source.width)
    turned = program.add("negative", [source], source.kind, source.width)
    back = draw_lines(program, turned, -xs[::-1].T, [-ys[::-1]] * source.width)
    middle = compute(program, combine(program, forward, "-", back), "*", np.float64(0.5))
    answer = program.add(
        "ends",
        [source, middle],
        source.kind,
        source.width,
        least=np.ascontiguousarray(xs[0]),
        most=np.ascontiguousarray(xs[-1]),
        answers=np.tile([0.0, 1.0], source.width),
        within=np.array([_BOUND if normal else 0.0]),
    )
    if not normal:
        return table_of(answer)
    quantiles = program.add("normal_quantile", [answer], answer.kind, answer.width)
    bound = float(_BOUND - np.spacing(1))
    ends = [NormalDist().inv_cdf(bound), NormalDist().inv_cdf(1 - bound)]
    return table_of(clip(program, quantiles, *ends))


def draw_lines(
    program: Program, block: Block, xs: Fitted, ys: Fitted, outside: str = "ends"
) -> Block:
    """The broken line of each column; beyond its ends level, NaN, or the row is refused.

    Raises UnsupportedError for lines of other columns than there are.
    """
    if len(xs) != block.width:
        raise UnsupportedError("lines for other columns than there are")
    return program.add(
        "lines",
        [block],
        block.kind,
        block.width,
        xs=np.concatenate([np.asarray(each, np.float64) for each in xs]),
        ys=np.concatenate([np.asarray(each, np.float64) for each in ys]),
        starts=np.cumsum([0] + [len(each) for each in xs]).astype(np.int32),
        outside=outside,
        refuses=outside == "refuse",
    )


@index.reads(INVERSES, "sklearn.QuantileTransformer")
def restore_quantiles(model: Fitted, program: Program, block: Block) -> Block:
    xs, ys = np.asarray(model.references_, np.float64), np.asarray(model.quantiles_, np.float64)
    normal = model.output_distribution == "normal"
    if normal:
        block = program.add("normal_share", [block], block.kind, block.width)
    curve = draw_lines(program, block, [xs] * block.width, ys.T)
    return program.add(
        "ends",
        [block, curve],
        block.kind,
        block.width,
        least=np.zeros(block.width),
        most=np.ones(block.width),
        answers=np.stack([ys[0], ys[-1]], axis=1).ravel(),
        within=np.array([_BOUND if normal else 0.0]),
    )


@index.reads(TRANSFORMERS, "sklearn.PowerTransformer")
def raise_to_powers(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    lambdas = np.asarray(model.lambdas_, np.float64)
    if model.method == "box-cox":
        block = program.add(
            "box_cox", [block], block.kind, block.width, constants=lambdas, refuses=True
        )
    else:
        block = program.add("yeo_johnson", [block], block.kind, block.width, constants=lambdas)
    if not model.standardize:
        return table_of(block)
    return index.transform(model._scaler, program, table_of(block))


@index.reads(INVERSES, "sklearn.PowerTransformer")
def restore_powers(model: Fitted, program: Program, block: Block) -> Block:
    if model.method == "box-cox":
        raise UnsupportedError("the inverse of a PowerTransformer with method='box-cox'")
    if model.standardize:
        block = restore_standard(model._scaler, program, block)
    lambdas = np.asarray(model.lambdas_, np.float64)
    return program.add("yeo_johnson_back", [block], block.kind, block.width, constants=lambdas)
