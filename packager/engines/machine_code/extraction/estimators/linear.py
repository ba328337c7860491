"""Linear models, and what makes labels and probabilities of their scores."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    compute,
    constants,
    table_of,
    version_of,
)


def weigh(program: Program, table: Table, weights: Array, offsets: Array, lanes: int = 1) -> Block:
    """Sums of the columns by weights, one for each row of these, in so many parts side by side."""
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
        **({"lanes": lanes} if lanes > 1 else {}),
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
@index.reads(ESTIMATORS, "sklearn.MultiTaskLassoCV", "sklearn.MultiTaskElasticNetCV")
@index.reads(ESTIMATORS, "sklearn.OrthogonalMatchingPursuitCV")
def estimate_linear(model: Fitted, program: Program, table: Table) -> Answer:
    return Answer(weigh(program, table, model.coef_, model.intercept_))


@index.reads(ESTIMATORS, "sklearn.PoissonRegressor", "sklearn.GammaRegressor")
@index.reads(ESTIMATORS, "sklearn.TweedieRegressor")
def estimate_with_link(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for a link that is neither the identity nor the logarithm."""
    scores = weigh(program, table, model.coef_, model.intercept_)
    loss = getattr(model, "_base_loss", None)
    link = getattr(loss, "link", None) or getattr(model, "_link_instance", None)
    name = type(link).__name__
    if name == "IdentityLink":
        return Answer(scores)
    if name != "LogLink":
        raise UnsupportedError(f"the link {name}")
    return Answer(apply(program, "exp", scores))


@index.reads(ESTIMATORS, "sklearn.PLSRegression", "sklearn.PLSCanonical", "sklearn.CCA")
def estimate_latent(model: Fitted, program: Program, table: Table) -> Answer:
    block = compute(program, as_numbers(program, table), "-", getattr(model, "_x_mean", 0.0))
    weights = np.asarray(model.coef_)
    if weights.shape[1] != block.width or version_of("sklearn") < (1, 3):
        weights = weights.T
    if version_of("sklearn") < (1, 3):
        block = compute(program, block, "/", getattr(model, "_x_std", 1.0))
    offsets = getattr(model, "intercept_", None)
    offsets = model._y_mean if offsets is None else offsets
    return Answer(weigh(program, table_of(block), weights, np.ravel(offsets)))


@index.composes("sklearn.RANSACRegressor")
@index.reads(ESTIMATORS, "sklearn.RANSACRegressor")
def estimate_consensus(model: Fitted, program: Program, table: Table) -> Answer:
    return index.estimate(model.estimator_, program, table)


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
    return Answer(share_apart(model, program, scores), best, scores)


@index.reads(ESTIMATORS, "sklearn.RidgeClassifier", "sklearn.RidgeClassifierCV")
@index.reads(ESTIMATORS, "sklearn.LinearSVC", "sklearn.Perceptron")
@index.reads(ESTIMATORS, "sklearn.PassiveAggressiveClassifier")
def estimate_margins(model: Fitted, program: Program, table: Table) -> Answer:
    """Labels alone: these have no probabilities."""
    if np.ndim(model.classes_) > 1 or isinstance(model.classes_, list):
        raise UnsupportedError("labels of several outputs")
    scores = weigh(program, table, model.coef_, model.intercept_)
    kind = getattr(getattr(model, "_label_binarizer", None), "y_type_", "")
    if kind.startswith("multilabel"):
        zero = np.zeros(scores.width)
        return Answer(program.add("above", [scores], "int64", scores.width, constants=zero))
    return Answer(None, pick_label(program, scores), scores)


@index.reads(ESTIMATORS, "sklearn.SGDClassifier")
def estimate_descended(model: Fitted, program: Program, table: Table) -> Answer:
    """Probabilities of the logistic loss alone: that of modified_huber is another."""
    scores = weigh(program, table, model.coef_, model.intercept_)
    best = pick_label(program, scores)
    if model.loss not in ("log_loss", "log"):
        return Answer(None, best, scores)
    if scores.width == 1:
        return binary(program, scores)
    return Answer(share_apart(model, program, scores), best, scores)


def binary(program: Program, scores: Block) -> Answer:
    """Two classes by one score: its logistic function, and its sign."""
    positive = apply(program, "expit", scores)
    return Answer(both_sides(program, positive), above_zero(program, scores), scores)


def share_apart(model: Fitted, program: Program, scores: Block) -> Block:
    """Each class by its own logistic function, and its share of all."""
    return share(program, apply(program, "expit", scores), _find_shares_of_none(model))


def share(program: Program, block: Block, none: str) -> Block:
    """Each column's share of the row's sum; `none`: zero, nan or alike, where that is zero."""
    return program.add("shares", [block], block.kind, block.width, none=none)


class _Hopeless:
    """An estimator that is sure of no class."""

    def decision_function(self, table: Array) -> Array:
        return np.full((len(table), 2), -1e4)


def _find_shares_of_none(model: Fitted) -> str:
    """Ask the class itself, as its versions differ."""
    ask = getattr(type(model), "_predict_proba_lr", None)
    if ask is None:
        return "nan"
    with np.errstate(all="ignore"):
        shares = np.asarray(ask(_Hopeless(), np.zeros((1, 1))))
    return "alike" if shares[0, 0] == 0.5 else "nan"


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


def name_labels(program: Program, best: Block, classes: Fitted) -> Block:
    """The labels themselves, where these are whole numbers."""
    labels = np.asarray(classes)
    if labels.dtype.kind not in "iu":
        raise UnsupportedError("labels of several outputs that are no whole numbers")
    codes = np.append(labels, labels[-1]).astype(np.float64)
    return program.add("look_up", [best], "int64", 1, at=0, constants=codes)


_LINKS = {
    "Identity": (),
    "Log": ("exp",),
    "Logit": ("expit",),
    "Probit": ("normal_share",),
    "InversePower": ("reciprocal",),
    "Sqrt": ("square",),
    "CLogLog": ("exp", "negative", "exp", "rest"),
}
"""statsmodels' links by name: what makes an answer of a score."""
_LINK_OF = {
    "OLS": "Identity",
    "WLS": "Identity",
    "GLS": "Identity",
    "GLSAR": "Identity",
    "RLM": "Identity",
    "QuantReg": "Identity",
    "Logit": "Logit",
    "Probit": "Probit",
    "Poisson": "Log",
}


@index.reads(ESTIMATORS, "statsmodels.RegressionResultsWrapper", "statsmodels.GLMResultsWrapper")
@index.reads(ESTIMATORS, "statsmodels.BinaryResultsWrapper", "statsmodels.PoissonResultsWrapper")
@index.reads(ESTIMATORS, "statsmodels.RLMResultsWrapper", "statsmodels.LogitResultsWrapper")
@index.reads(ESTIMATORS, "statsmodels.ProbitResultsWrapper")
def estimate_by_parameters(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for a formula, and for a model that has no score and no link."""
    inner = model.model
    if getattr(inner, "formula", None) is not None:
        raise UnsupportedError("a formula of statsmodels")
    name = type(inner).__name__
    link = type(inner.family.link).__name__ if name == "GLM" else _LINK_OF.get(name, name)
    if link not in _LINKS:
        raise UnsupportedError(f"statsmodels with {link}")
    parameters = np.asarray(model.params, np.float64).ravel()
    block = weigh(program, table_of(as_numbers(program, table)), parameters, np.zeros(1))
    for step in _LINKS[link]:
        if step == "rest":
            block = compute(program, apply(program, "negative", block), "+", np.float64(1.0))
        else:
            block = apply(program, step, block)
    return Answer(block)
