"""Nearest points: neighbours' answers, clusters' centres, classes' centroids."""

from __future__ import annotations

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
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    stack,
    table_of,
    take,
)

_METRICS = {"euclidean": "squared", "manhattan": "manhattan", "chebyshev": "chebyshev"}
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
    metric = _METRICS.get(str(getattr(model, "effective_metric_", "")))
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
        far = _measure_as_product(program, block, model._fit_X, own=True)
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
        first=0,
        values=np.ascontiguousarray(values, np.float64).ravel(),
    )


def _walk_tree(model: Fitted, program: Program, block: Block, metric: str, values: Array) -> Block:
    """Points in the tree's order: of those that are as far, its walk decides which are taken."""
    points, order, nodes, bounds = (np.asarray(each) for each in model._tree.get_arrays())
    return program.add(
        "walk",
        [block],
        "double",
        values.shape[1],
        count=int(model.n_neighbors),
        closer=model.weights == "distance",
        refuses=model.weights == "distance" and _refuses_no_weight(model, block.width),
        metric=metric,
        first=int(np.flatnonzero(order == 0)[0]),
        points=np.ascontiguousarray(points[order], np.float64).ravel(),
        bounds=np.ascontiguousarray(bounds, np.float64).ravel(),
        starts=nodes["idx_start"].astype(np.int32),
        ends=nodes["idx_end"].astype(np.int32),
        leaf=nodes["is_leaf"].astype(np.uint8),
        values=np.ascontiguousarray(values[order], np.float64).ravel(),
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


def _measure_as_product(
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


@index.reads(ESTIMATORS, "sklearn.KMeans", "sklearn.MiniBatchKMeans", "sklearn.BisectingKMeans")
def estimate_cluster(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for clusters in a tree."""
    if type(model).__name__ == "BisectingKMeans":
        raise UnsupportedError("clusters in a tree")
    far = _measure_as_product(program, as_numbers(program, table), model.cluster_centers_)
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
    far = measure(program, as_numbers(program, table), model.cluster_centers_, "squared")
    return Answer(_pick_least(program, far))


@index.reads(ESTIMATORS, "sklearn.Birch")
def estimate_subcluster(model: Fitted, program: Program, table: Table) -> Answer:
    far = _measure_as_product(program, as_numbers(program, table), model.subcluster_centers_)
    labels = np.append(model.subcluster_labels_, 0).astype(np.float64)
    nearest = _pick_least(program, far)
    return Answer(program.add("look_up", [nearest], "int64", 1, at=0, constants=labels))


@index.reads(ESTIMATORS, "sklearn.NearestCentroid")
def estimate_centroid(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for priors and metrics that change the distances."""
    priors = getattr(model, "priors", None)
    if model.metric not in ("euclidean", "manhattan") or priors not in (None, "uniform"):
        raise UnsupportedError("centroids by another metric or priors")
    metric = _METRICS[model.metric]
    far = measure(program, as_numbers(program, table), model.centroids_, metric)
    return Answer(None, _pick_least(program, far))
