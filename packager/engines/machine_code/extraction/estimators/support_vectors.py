"""Support vector machines: kernels between a row and the vectors, and votes of pairs.

https://www.csie.ntu.edu.tw/~cjlin/papers/libsvm.pdf
"""

from __future__ import annotations

import itertools

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import above_zero, weigh
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import Table, as_numbers, table_of

_KERNELS = ("linear", "poly", "rbf", "rbf of products", "sigmoid")


def compute_kernels(
    program: Program,
    table: Table,
    vectors: Array,
    kernel: Fitted,
    settings: tuple[float, float, int],
) -> Block:
    """Raises UnsupportedError for a kernel of the author's, or one given as a matrix."""
    if kernel not in _KERNELS:
        raise UnsupportedError("the kernel {}".format(kernel if isinstance(kernel, str) else ""))
    if hasattr(vectors, "toarray"):
        raise UnsupportedError("support vectors of a sparse table")
    block = as_numbers(program, table)
    return program.add(
        "kernels",
        [block],
        "double",
        len(vectors),
        kernel=kernel,
        degree=int(settings[2]),
        settings=np.array(settings[:2], np.float64),
        points=np.ascontiguousarray(vectors, np.float64).ravel(),
    )


def _compute_own_kernels(model: Fitted, program: Program, table: Table) -> Block:
    settings = (float(model._gamma), float(model.coef0), int(model.degree))
    return compute_kernels(program, table, model.support_vectors_, model.kernel, settings)


@index.reads(ESTIMATORS, "sklearn.SVR", "sklearn.NuSVR")
def estimate_numbers(model: Fitted, program: Program, table: Table) -> Answer:
    if not len(model.support_vectors_):  # all answers lay within epsilon of one number
        none = np.zeros((1, table.width))
        return Answer(weigh(program, table, none, model._intercept_))
    kernels = _compute_own_kernels(model, program, table)
    return Answer(weigh(program, table_of(kernels), model._dual_coef_, model._intercept_))


@index.reads(ESTIMATORS, "sklearn.OneClassSVM")
def estimate_outliers(model: Fitted, program: Program, table: Table) -> Answer:
    kernels = _compute_own_kernels(model, program, table)
    score = weigh(program, table_of(kernels), model._dual_coef_, model._intercept_)
    return Answer(choose_sign(program, above_zero(program, score)))


def choose_sign(program: Program, inside: Block) -> Block:
    """1 for what lies inside, -1 for an outlier."""
    signs = np.array([-1.0, 1.0, 1.0])
    return program.add("look_up", [inside], "int64", 1, at=0, constants=signs)


@index.reads(ESTIMATORS, "sklearn.SVC", "sklearn.NuSVC")
def estimate_classes(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for break_ties, which decides by another score."""
    classes = len(model.classes_)
    if getattr(model, "break_ties", False) and classes > 2:
        raise UnsupportedError("an SVC with break_ties")
    kernels = _compute_own_kernels(model, program, table)
    weights = _weigh_pairs(model._dual_coef_, model._n_support)
    pairs = weigh(program, table_of(kernels), weights, model._intercept_)
    votes = program.add("duels", [pairs], "double", classes, classes=classes)
    best = program.add("argmax", [votes], "int64", 1)
    turned = program.add("negative", [pairs], "double", pairs.width)
    scores = turned
    if classes > 2:
        scores = program.add("ranks", [turned], "double", classes, classes=classes)
        if model.decision_function_shape != "ovr":
            return Answer(None, best)
    if not len(getattr(model, "_probA", ())):
        return Answer(None, best, scores)
    shares = program.add(
        "couple",
        [pairs],
        "double",
        classes,
        classes=classes,
        slopes=np.asarray(model._probA, np.float64),
        offsets=np.asarray(model._probB, np.float64),
    )
    return Answer(shares, best, scores)


def _weigh_pairs(coefficients: Array, counts: Array) -> Array:
    """Weights of the vectors of either class, for each pair of classes."""
    coefficients = np.asarray(coefficients)
    starts = np.concatenate([[0], np.cumsum(counts)])
    pairs = list(itertools.combinations(range(len(counts)), 2))
    weights = np.zeros((len(pairs), coefficients.shape[1]))
    for row, (one, other) in zip(weights, pairs):
        first, second = (slice(starts[each], starts[each + 1]) for each in (one, other))
        row[first] = coefficients[other - 1, first]
        row[second] = coefficients[one, second]
    return weights
