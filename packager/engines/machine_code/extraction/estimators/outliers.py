"""Detectors of outliers, which answer 1 and -1, and mixtures of normal distributions."""

from __future__ import annotations

import math

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import weigh
from packager.engines.machine_code.extraction.estimators.sklearn_trees import read_tree
from packager.engines.machine_code.extraction.estimators.support_vectors import choose_sign
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    combine,
    common_kind,
    compute,
    narrow_columns,
    stack,
    table_of,
)
from packager.engines.machine_code.extraction.transformers.neighbor_graphs import spread_points
from packager.engines.machine_code.extraction.tree_tables import add_trees

_EULER = 0.5772156649015329


def judge(program: Program, score: Block) -> Answer:
    """Inside from zero on."""
    below = np.array([-np.nextafter(0.0, 1.0)])
    return Answer(choose_sign(program, program.add("above", [score], "int64", 1, constants=below)))


@index.reads(ESTIMATORS, "sklearn.IsolationForest")
def isolate(model: Fitted, program: Program, table: Table) -> Answer:
    """Mean of how soon a row stands alone."""
    trees = []
    for part, columns, path, rest in zip(
        model.estimators_,
        model.estimators_features_,
        model._decision_path_lengths,
        model._average_path_length_per_tree,
    ):
        depths = np.asarray(path + rest - 1.0, np.float64)
        tree = read_tree(part.tree_, depths.reshape(-1, 1))
        trees.append(tree._replace(features=np.asarray(columns)[tree.features]))
    block = narrow_columns(program, table)
    depth = add_trees(program, block, trees, [0] * len(trees), np.zeros(1), "<=", "double")
    usual = len(trees) * _count_steps(int(model._max_samples))
    share = compute(program, depth, "/", np.float64(usual))
    turned = program.add("negative", [share], "double", 1)
    score = program.add("exp2", [turned], "double", 1)
    score = program.add("negative", [score], "double", 1)
    return judge(program, compute(program, score, "-", np.float64(model.offset_)))


def _count_steps(rows: int) -> float:
    """Mean length of a search's path in a tree of so many rows."""
    if rows <= 2:
        return float(max(0, rows - 1))
    return 2.0 * (math.log(rows - 1.0) + _EULER) - 2.0 * (rows - 1.0) / rows


@index.reads(ESTIMATORS, "sklearn.EllipticEnvelope")
def enclose(model: Fitted, program: Program, table: Table) -> Answer:
    moved = compute(program, as_numbers(program, table), "-", model.location_)
    precision = np.asarray(model.get_precision())
    turned = weigh(program, table_of(moved), precision, np.zeros(len(precision)))
    products = combine(program, turned, "*", moved)
    far = program.add("norm", [products], "double", 1, how="sum", least=np.zeros(1))
    score = program.add("negative", [far], "double", 1)
    return judge(program, compute(program, score, "-", np.float64(model.offset_)))


@index.reads(ESTIMATORS, "sklearn.LocalOutlierFactor")
def compare_densities(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for a model of its own rows alone, and for floats."""
    if not model.novelty:
        raise UnsupportedError("predict of a LocalOutlierFactor without novelty")
    if common_kind(table) == "float":
        raise UnsupportedError("a LocalOutlierFactor over floats")
    count = int(model.n_neighbors_)
    score = program.add(
        "isolation",
        [spread_points(model, program, table, count, "reach")],
        "double",
        1,
        count=count,
        reaches=np.ascontiguousarray(model._distances_fit_X_[:, count - 1], np.float64),
        densities=np.ascontiguousarray(model._lrd, np.float64),
    )
    return judge(program, compute(program, score, "-", np.float64(model.offset_)))


@index.reads(ESTIMATORS, "sklearn.SGDOneClassSVM")
def weigh_for_outliers(model: Fitted, program: Program, table: Table) -> Answer:
    return judge(program, weigh(program, table, model.coef_, -np.asarray(model.offset_)))


@index.reads(ESTIMATORS, "sklearn.GaussianMixture", "sklearn.BayesianGaussianMixture")
def estimate_component(model: Fitted, program: Program, table: Table) -> Answer:
    """The likeliest component. Raises UnsupportedError for a form of covariances not known."""
    if model.covariance_type not in ("full", "tied", "diag", "spherical"):
        raise UnsupportedError(f"covariances of type {model.covariance_type!r}")
    means = np.asarray(model.means_, np.float64)
    count, width = means.shape
    roots = np.asarray(model.precisions_cholesky_, np.float64)
    if model.covariance_type == "tied":
        roots = np.stack([roots] * count)
    elif model.covariance_type != "full":
        spread = roots.reshape(count, -1) * np.ones((count, width))
        roots = np.stack([np.diag(each) for each in spread])
    block = as_numbers(program, table)
    sums = []
    for mean, root in zip(means, roots):
        turned = weigh(program, table_of(block), root.T, -(mean @ root))
        squares = program.add("square", [turned], "double", width)
        sums.append(program.add("norm", [squares], "double", 1, how="sum", least=np.zeros(1)))
    middle = means.mean(axis=0)
    known = np.array([np.sum(((middle - mean) @ root) ** 2) for mean, root in zip(means, roots)])
    weighted = np.ravel(model._estimate_weighted_log_prob(middle.reshape(1, -1)))
    halves = compute(program, stack(program, sums), "*", np.float64(-0.5))
    scores = compute(program, halves, "+", weighted + 0.5 * known)
    return Answer(program.add("argmax", [scores], "int64", 1))
