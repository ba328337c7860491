"""Discriminant analysis, and the nearest of classes' centroids."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import (
    apply,
    binary,
    pick_label,
    weigh,
)
from packager.engines.machine_code.extraction.estimators.naive_bayes import finish
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Program
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    compute,
    stack,
    table_of,
)


@index.reads(ESTIMATORS, "sklearn.LinearDiscriminantAnalysis")
def estimate_linear(model: Fitted, program: Program, table: Table) -> Answer:
    scores = weigh(program, table, model.coef_, model.intercept_)
    if scores.width == 1:
        return binary(program, scores)
    return Answer(apply(program, "softmax", scores), pick_label(program, scores), scores)


@index.reads(ESTIMATORS, "sklearn.QuadraticDiscriminantAnalysis")
def estimate_quadratic(model: Fitted, program: Program, table: Table) -> Answer:
    block = as_numbers(program, table)
    sums = []
    for mean, rotation, scaling in zip(model.means_, model.rotations_, model.scalings_):
        weights = np.asarray(rotation * np.asarray(scaling) ** -0.5).T
        moved = compute(program, block, "-", mean)
        turned = weigh(program, table_of(moved), weights, np.zeros(len(weights)))
        squares = program.add("square", [turned], "double", turned.width)
        none = np.zeros(1)
        sums.append(program.add("norm", [squares], "double", 1, how="sum", least=none))
    sizes = np.array([np.sum(np.log(each)) for each in model.scalings_])
    whole = compute(program, stack(program, sums), "+", sizes)
    halves = compute(program, whole, "*", np.float64(-0.5))
    return finish(program, compute(program, halves, "+", np.log(model.priors_)))
