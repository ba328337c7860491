"""Linear models, and what makes labels and probabilities of their scores."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import Table, as_numbers, constants


def weigh(program: Program, table: Table, weights: Array, offsets: Array) -> Block:
    """Sums of the columns by weights, one for each row of these."""
    weights = np.atleast_2d(np.asarray(weights))
    block = as_numbers(program, table, ("double", "float"))
    if block.kind == "float" and weights.dtype != np.float32:
        block = as_numbers(program, table, ("double",))
    kind = block.kind
    if weights.shape[1] != block.width:
        raise UnsupportedError("weights for other columns than there are")
    offsets = np.broadcast_to(np.asarray(offsets, weights.dtype).ravel(), (len(weights),))
    return program.add(
        "weigh",
        [block],
        kind,
        len(weights),
        weights=constants(weights, kind).ravel(),
        offsets=constants(offsets, kind),
    )


@index.reads(ESTIMATORS, "sklearn.LinearRegression", "sklearn.Ridge", "sklearn.RidgeCV")
@index.reads(ESTIMATORS, "sklearn.Lasso", "sklearn.LassoCV", "sklearn.ElasticNet")
@index.reads(ESTIMATORS, "sklearn.ElasticNetCV", "sklearn.Lars", "sklearn.LarsCV")
@index.reads(ESTIMATORS, "sklearn.LassoLars", "sklearn.LassoLarsCV", "sklearn.LassoLarsIC")
@index.reads(ESTIMATORS, "sklearn.BayesianRidge", "sklearn.ARDRegression", "sklearn.LinearSVR")
@index.reads(ESTIMATORS, "sklearn.HuberRegressor", "sklearn.SGDRegressor")
@index.reads(ESTIMATORS, "sklearn.TheilSenRegressor", "sklearn.QuantileRegressor")
@index.reads(ESTIMATORS, "sklearn.OrthogonalMatchingPursuit", "sklearn.PassiveAggressiveRegressor")
@index.reads(ESTIMATORS, "sklearn.MultiTaskLasso", "sklearn.MultiTaskElasticNet")
def estimate_linear(model: Fitted, program: Program, table: Table) -> Answer:
    return Answer(weigh(program, table, model.coef_, model.intercept_))


@index.reads(ESTIMATORS, "sklearn.PoissonRegressor", "sklearn.GammaRegressor")
def estimate_with_log_link(model: Fitted, program: Program, table: Table) -> Answer:
    scores = weigh(program, table, model.coef_, model.intercept_)
    return Answer(apply(program, "exp", scores))


@index.reads(ESTIMATORS, "sklearn.LogisticRegression", "sklearn.LogisticRegressionCV")
def estimate_logistic(model: Fitted, program: Program, table: Table) -> Answer:
    scores = weigh(program, table, model.coef_, model.intercept_)
    if len(model.classes_) == 2:
        if getattr(model, "multi_class", "auto") == "multinomial":
            raise UnsupportedError("two classes by multi_class='multinomial'")
        return binary(program, scores)
    best = pick_label(program, scores)
    alone = getattr(model, "multi_class", "auto") == "ovr" or model.solver == "liblinear"
    if not alone:
        return Answer(apply(program, "softmax", scores), best, scores)
    return Answer(share_apart(program, scores), best, scores)


@index.reads(ESTIMATORS, "sklearn.RidgeClassifier", "sklearn.RidgeClassifierCV")
@index.reads(ESTIMATORS, "sklearn.LinearSVC", "sklearn.Perceptron")
@index.reads(ESTIMATORS, "sklearn.PassiveAggressiveClassifier", "sklearn.SGDClassifier")
def estimate_margins(model: Fitted, program: Program, table: Table) -> Answer:
    """Labels alone: these have no probabilities, or their own way to them."""
    scores = weigh(program, table, model.coef_, model.intercept_)
    return Answer(None, pick_label(program, scores), scores)


def binary(program: Program, scores: Block) -> Answer:
    """Two classes by one score: its logistic function, and its sign."""
    positive = apply(program, "expit", scores)
    return Answer(both_sides(program, positive), above_zero(program, scores), scores)


def share_apart(program: Program, scores: Block) -> Block:
    """Each class by its own logistic function, and its share of all."""
    return apply(program, "shares", apply(program, "expit", scores))


def pick_label(program: Program, scores: Block) -> Block:
    """The sign of one score, or the first of the largest."""
    if scores.width == 1:
        return above_zero(program, scores)
    return program.add("argmax", [scores], "int64", 1)


def both_sides(program: Program, positive: Block) -> Block:
    return program.add("complement", [positive], positive.kind, 2)


def above_zero(program: Program, scores: Block) -> Block:
    return program.add("above", [scores], "int64", 1, constants=np.zeros(1))


def apply(program: Program, name: str, block: Block) -> Block:
    """A function of the C library over every column, or over the row."""
    return program.add(name, [block], block.kind, block.width)
