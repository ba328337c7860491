"""Columns that stand for a kernel: waves over logarithms, sketches of products."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.checks import refuse_below
from packager.engines.machine_code.extraction.estimators.linear import weigh
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    combine,
    compute,
    table_of,
)

_MOST_COMPONENTS = 2000
"""Of a sketch: each is multiplied with each."""


def _apply(program: Program, name: str, block: Block) -> Block:
    return program.add(name, [block], block.kind, block.width)


@index.reads(TRANSFORMERS, "sklearn.AdditiveChi2Sampler")
def sample_additive(model: Fitted, program: Program, table: Table) -> Table:
    """Roots, and waves over the logarithm; what is below zero is refused."""
    known = getattr(model, "sample_interval_", None)
    known = model.sample_interval if known is None else known
    interval = {1: 0.8, 2: 0.5, 3: 0.4}[model.sample_steps] if known is None else float(known)
    block = refuse_below(program, as_numbers(program, table), 0.0, equal=False)
    parts = [_apply(program, "sqrt", compute(program, block, "*", np.float64(interval)))]
    waves = compute(program, _apply(program, "log", block), "*", np.float64(interval))
    doubled = compute(program, compute(program, block, "*", np.float64(2.0)), "*", interval)
    for step in range(1, model.sample_steps):
        factor = np.cosh(np.pi * step * interval)
        height = _apply(program, "sqrt", compute(program, doubled, "/", factor))
        turned = compute(program, waves, "*", np.float64(step))
        for name in ("cos", "sin"):
            wave = combine(program, height, "*", _apply(program, name, turned))
            zeros = np.zeros(wave.width)
            parts.append(program.add("fill", [wave], "double", wave.width, constants=zeros))
    return Table(tuple(column for part in parts for column in table_of(part).columns))


@index.reads(TRANSFORMERS, "sklearn.SkewedChi2Sampler")
def sample_skewed(model: Fitted, program: Program, table: Table) -> Table:
    """Waves over logarithms; what is at or below minus the skewedness is refused."""
    block = as_numbers(program, table, ("double", "float"))
    block = refuse_below(program, block, -float(model.skewedness), equal=True)
    block = compute(program, block, "+", np.float64(model.skewedness))
    weights = np.asarray(model.random_weights_).T
    block = weigh(program, table_of(_apply(program, "log", block)), weights, model.random_offset_)
    by = np.sqrt(2.0) / np.sqrt(model.n_components)
    return table_of(compute(program, _apply(program, "cos", block), "*", np.float64(by)))


@index.reads(TRANSFORMERS, "sklearn.PolynomialCountSketch")
def sketch_products(model: Fitted, program: Program, table: Table) -> Table:
    """Sketches of the row, one for each degree, multiplied by going round.

    Raises UnsupportedError for more components than are multiplied in time.
    """
    if model.n_components > _MOST_COMPONENTS:
        raise UnsupportedError(f"a sketch of {model.n_components} components")
    block = compute(program, as_numbers(program, table), "*", np.sqrt(model.gamma))
    found: Block | None = None
    for places, signs in zip(np.asarray(model.indexHash_), np.asarray(model.bitHash_)):
        weights = np.zeros((model.n_components, len(places)))
        for column, (place, sign) in enumerate(zip(places, signs)):
            weights[place, column] = sign
        offsets = np.zeros(model.n_components)
        if len(places) > block.width:
            offsets = weights[:, -1] * np.sqrt(model.coef0)
        sketch = weigh(program, table_of(block), weights[:, : block.width], offsets)
        if found is None:
            found = sketch
        else:
            found = program.add("convolve", [found, sketch], "double", sketch.width)
    if found is None:
        raise UnsupportedError("a sketch of no degree")
    return table_of(found)
