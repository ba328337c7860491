"""Nearest points: neighbours' answers, clusters' centres, classes' centroids."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.checks import refuses
from packager.engines.machine_code.extraction.estimators.linear import name_labels
from packager.engines.machine_code.extraction.index import (
    ESTIMATORS,
    TRANSFORMERS,
    Answer,
    Fitted,
)
from packager.engines.machine_code.extraction.program import (
    Array,
    Block,
    Parameter,
    Program,
    UnsupportedError,
)
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    stack,
    table_of,
    take,
)
from packager.engines.machine_code.extraction.tree_tables import Tree, add_trees

METRICS = {"euclidean": "squared", "manhattan": "manhattan", "chebyshev": "chebyshev"}
_MOST_CELLS = 2_000_000
"""Of points: beyond, one row takes longer than a function should."""


def measure(program: Program, block: Block, points: Array, metric: str) -> Block:
    points = np.ascontiguousarray(points, np.float64)
    if points.size > _MOST_CELLS:
        raise UnsupportedError(f"{len(points)} points of {block.width} columns")
    return program.add(
        "distances", [block], "double", len(points), metric=metric, points=points.ravel()
    )


def _find_nearest(model: Fitted, program: Program, table: Table, values: Array) -> Block:
    """Means of the neighbours' values.

    Raises UnsupportedError for metrics, weights and trees that no operation walks.
    """
    metric = METRICS.get(str(getattr(model, "effective_metric_", "")))
    if metric is None or model.weights not in ("uniform", "distance"):
        raise UnsupportedError("neighbours by another metric or other weights")
    if hasattr(model._fit_X, "toarray"):
        raise UnsupportedError("neighbours in a sparse table")
    block = as_numbers(program, table)
    if np.size(model._fit_X) > _MOST_CELLS:
        raise UnsupportedError(f"{len(model._fit_X)} points of {block.width} columns")
    if model._fit_method == "kd_tree":
        return _walk_tree(model, program, block, metric, values)
    if model._fit_method != "brute" or model.weights != "uniform":
        raise UnsupportedError(f"neighbours found by {model._fit_method}")
    if metric == "squared":
        far = measure_as_product(program, block, model._fit_X, own=True)
    else:
        far = measure(program, block, model._fit_X, metric)
    return program.add(
        "nearest",
        [far],
        "double",
        values.shape[1],
        count=int(model.n_neighbors),
        closer=False,
        refuses=False,
        apart="",
        first=0,
        values=np.ascontiguousarray(values, np.float64).ravel(),
    )


def _walk_tree(model: Fitted, program: Program, block: Block, metric: str, values: Array) -> Block:
    """Means of the values of those that a walk of the points' tree finds."""
    _points, order, _nodes, _bounds = model._tree.get_arrays()
    closer = model.weights == "distance"
    return walk_points(
        model,
        program,
        block,
        metric,
        values.shape[1],
        count=int(model.n_neighbors),
        closer=closer,
        refuses=closer and _refuses_no_weight(model, block.width),
        apart="",
        values=np.ascontiguousarray(values[np.asarray(order)], np.float64).ravel(),
    )


def walk_points(
    model: Fitted,
    program: Program,
    block: Block,
    metric: str,
    width: int,
    **given: Parameter,
) -> Block:
    """Points in the tree's order: of those that are as far, its walk decides which are taken."""
    points, order, nodes, bounds = (np.asarray(each) for each in model._tree.get_arrays())
    return program.add(
        "walk",
        [block],
        "double",
        width,
        metric=metric,
        first=int(np.flatnonzero(order == 0)[0]),
        points=np.ascontiguousarray(points[order], np.float64).ravel(),
        bounds=np.ascontiguousarray(bounds, np.float64).ravel(),
        starts=nodes["idx_start"].astype(np.int32),
        ends=nodes["idx_end"].astype(np.int32),
        leaf=nodes["is_leaf"].astype(np.uint8),
        **given,
    )


def _refuses_no_weight(model: Fitted, width: int) -> bool:
    """Tell whether a row is refused whose neighbours are all infinitely far, as versions differ."""
    return refuses(model.predict, np.full((1, width), 1e300))


@index.reads(ESTIMATORS, "sklearn.KNeighborsRegressor")
def estimate_means(model: Fitted, program: Program, table: Table) -> Answer:
    values = np.asarray(model._y, np.float64)
    return Answer(_find_nearest(model, program, table, values.reshape(len(values), -1)))


@index.reads(ESTIMATORS, "sklearn.KNeighborsClassifier")
def estimate_votes(model: Fitted, program: Program, table: Table) -> Answer:
    several = isinstance(model.classes_, list)
    every = model.classes_ if several else [model.classes_]
    numbers = np.asarray(model._y).reshape(len(model._fit_X), -1)
    ones = [np.eye(len(each))[numbers[:, at]] for at, each in enumerate(every)]
    shares = _find_nearest(model, program, table, np.concatenate(ones, axis=1))
    if not several:
        return Answer(shares, program.add("argmax", [shares], "int64", 1))
    labels, first = [], 0
    for classes in every:
        some = take(program, shares, range(first, first + len(classes)))
        best = program.add("argmax", [some], "int64", 1)
        labels.append(name_labels(program, best, classes))
        first += len(classes)
    return Answer(stack(program, labels))


def measure_as_product(
    program: Program, block: Block, points: Array, *, own: bool = False
) -> Block:
    """Squares of distances, without the row's own square but where a search adds it.

    Products are added in order and each rounded with its sum, as a BLAS does for a matrix.
    """
    points = np.ascontiguousarray(points, np.float64)
    if points.size > _MOST_CELLS:
        raise UnsupportedError(f"{len(points)} points of {block.width} columns")
    return program.add(
        "distances",
        [block],
        "double",
        len(points),
        metric="product",
        own=own,
        points=points.ravel(),
        squares=np.array([np.dot(each, each) for each in points]),
    )


def measure_all(model: Fitted, program: Program, table: Table) -> tuple[Block, bool]:
    """Distances to all points of a search, or their squares; tell whether these have a root.

    Raises UnsupportedError for another metric.
    """
    metric = METRICS.get(str(getattr(model, "effective_metric_", "")))
    if metric is None or hasattr(model._fit_X, "toarray"):
        raise UnsupportedError("neighbours by another metric, or in a sparse table")
    block = as_numbers(program, table)
    if model._fit_method == "brute" and metric == "squared":
        return measure_as_product(program, block, model._fit_X, own=True), True
    if model._fit_method not in ("brute", "kd_tree"):
        raise UnsupportedError(f"neighbours found by {model._fit_method}")
    return measure(program, block, model._fit_X, metric), metric == "squared"


def reduce_radius(model: Fitted, *, root: bool) -> float:
    """The radius as distances are compared with it."""
    return float(model.radius) ** 2 if root else float(model.radius)


@index.reads(ESTIMATORS, "sklearn.RadiusNeighborsRegressor")
def estimate_means_around(model: Fitted, program: Program, table: Table) -> Answer:
    values = np.asarray(model._y, np.float64)
    return Answer(_average_within(model, program, table, values.reshape(len(values), -1)))


@index.reads(ESTIMATORS, "sklearn.RadiusNeighborsClassifier")
def estimate_votes_around(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for several outputs, and for a label of rows without neighbours."""
    if isinstance(model.classes_, list) or model.outlier_label is not None:
        raise UnsupportedError("labels of several outputs, or one of rows without neighbours")
    ones = np.eye(len(model.classes_))[np.ravel(model._y)]
    shares = _average_within(model, program, table, ones, refuses=True)
    return Answer(shares, program.add("argmax", [shares], "int64", 1))


def _average_within(
    model: Fitted, program: Program, table: Table, values: Array, *, refuses: bool = False
) -> Block:
    if model.weights not in ("uniform", "distance"):
        raise UnsupportedError("neighbours by other weights")
    far, root = measure_all(model, program, table)
    return program.add(
        "within",
        [far],
        "double",
        values.shape[1],
        closer=model.weights == "distance",
        root=root,
        refuses=refuses,
        radius=np.array([reduce_radius(model, root=root)]),
        values=np.ascontiguousarray(values, np.float64).ravel(),
    )


@index.reads(ESTIMATORS, "sklearn.BisectingKMeans")
def estimate_bisected(model: Fitted, program: Program, table: Table) -> Answer:
    """Ask at each fork of the tree of clusters which centre is nearer, and walk it once."""
    block = as_numbers(program, table)
    forks: List[Fitted] = []
    leaves: List[int] = []
    children: List[Tuple[int, int]] = []

    def number(node: Fitted) -> int:
        if node.left is None:
            leaves.append(int(node.label))
            return ~(len(leaves) - 1)
        at = len(forks)
        forks.append(node)
        children.append((0, 0))
        children[at] = (number(node.left), number(node.right))
        return at

    number(model._bisecting_tree)
    if not forks:
        raise UnsupportedError("a single cluster")
    sides = []
    for node in forks:
        centers = np.vstack((node.left.center, node.right.center)) + getattr(model, "_X_mean", 0.0)
        sides.append(_pick_least(program, measure_as_product(program, block, centers)))
    lefts, rights = np.array(children, np.int64).T
    forks_at = np.arange(len(forks))
    half, never = np.full(len(forks), 0.5), np.zeros(len(forks), np.uint8)
    ones = np.eye(len(leaves))[leaves]
    tree = Tree(lefts, rights, forks_at, half, never, ones)
    block = stack(program, sides, "double")
    found = add_trees(program, block, [tree], [0], np.zeros(len(leaves)), "<=", "double")
    return Answer(program.add("argmax", [found], "int64", 1))


@index.reads(ESTIMATORS, "sklearn.KMeans", "sklearn.MiniBatchKMeans")
def estimate_cluster(model: Fitted, program: Program, table: Table) -> Answer:
    far = measure_as_product(program, as_numbers(program, table), model.cluster_centers_)
    return Answer(_pick_least(program, far))


def _pick_least(program: Program, far: Block) -> Block:
    turned = program.add("negative", [far], "double", far.width)
    return program.add("argmax", [turned], "int64", 1)


@index.reads(TRANSFORMERS, "sklearn.KMeans", "sklearn.MiniBatchKMeans", "sklearn.BisectingKMeans")
@index.reads(TRANSFORMERS, "sklearn.Birch")
def transform_to_distances(model: Fitted, program: Program, table: Table) -> Table:
    points = getattr(model, "cluster_centers_", None)
    points = model.subcluster_centers_ if points is None else points
    far = measure(program, as_numbers(program, table), points, "squared")
    return table_of(program.add("sqrt", [far], "double", far.width))


@index.reads(ESTIMATORS, "sklearn.AffinityPropagation", "sklearn.MeanShift")
def estimate_exemplar(model: Fitted, program: Program, table: Table) -> Answer:
    block = as_numbers(program, table)
    far = measure_as_product(program, block, model.cluster_centers_, own=True)
    return Answer(_pick_least(program, far))


@index.reads(ESTIMATORS, "sklearn.Birch")
def estimate_subcluster(model: Fitted, program: Program, table: Table) -> Answer:
    block = as_numbers(program, table)
    far = measure_as_product(program, block, model.subcluster_centers_, own=True)
    labels = np.append(model.subcluster_labels_, 0).astype(np.float64)
    nearest = _pick_least(program, far)
    return Answer(program.add("look_up", [nearest], "int64", 1, at=0, constants=labels))


@index.reads(ESTIMATORS, "sklearn.NearestCentroid")
def estimate_centroid(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for priors and metrics that change the distances."""
    priors = getattr(model, "priors", None)
    if model.metric not in ("euclidean", "manhattan") or priors not in (None, "uniform"):
        raise UnsupportedError("centroids by another metric or priors")
    block = as_numbers(program, table)
    if model.metric == "manhattan":
        far = measure(program, block, model.centroids_, model.metric)
    else:  # as the search for the nearest point does, which rounds otherwise far from all of them
        far = measure_as_product(program, block, model.centroids_, own=True)
    return Answer(None, _pick_least(program, far))
