"""Graphs of the points near a row, and what is computed over them."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.kernels import project_centered
from packager.engines.machine_code.extraction.estimators.neighbors import (
    METRICS,
    measure_all,
    reduce_radius,
    walk_points,
)
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    common_kind,
    compute,
    table_of,
)

_MOST_WAYS = 4_000_000
"""Of all points to all points."""
_MOST_NEAR = 500
"""Whose products with each other a row's weights are solved from."""


@index.reads(TRANSFORMERS, "sklearn.KNeighborsTransformer", "sklearn.RadiusNeighborsTransformer")
def draw_graph(model: Fitted, program: Program, table: Table) -> Table:
    """A column for each point of training that says how far it is, where it is near."""
    count = 0
    if type(model).__name__ == "KNeighborsTransformer":
        count = int(model.n_neighbors) + (model.mode == "distance")
    return table_of(spread_points(model, program, table, count, str(model.mode)))


def spread_points(model: Fitted, program: Program, table: Table, count: int, apart: str) -> Block:
    """Columns of the points that are near: so many, or those within the radius.

    Raises UnsupportedError for another metric.
    """
    if model._fit_method == "kd_tree" and count:
        order = np.asarray(model._tree.get_arrays()[1])
        metric = METRICS.get(str(model.effective_metric_))
        if metric is None:
            raise UnsupportedError("neighbours by another metric")
        return walk_points(
            model,
            program,
            as_numbers(program, table),
            metric,
            len(order),
            count=count,
            closer=False,
            refuses=False,
            apart=apart,
            places=order.astype(np.int32),
        )
    far, root = measure_all(model, program, table)
    radius = np.array([0.0 if count else reduce_radius(model, root=root)])
    return program.add(
        "spread", [far], "double", far.width, count=count, apart=apart, root=root, radius=radius
    )


@index.reads(TRANSFORMERS, "sklearn.LocallyLinearEmbedding")
def embed_by_neighbors(model: Fitted, program: Program, table: Table) -> Table:
    """The near points' places in the embedding, weighed by what makes the row of these points.

    Raises UnsupportedError for floats, which the model computes with as they are.
    """
    if common_kind(table) == "float":
        raise UnsupportedError("a LocallyLinearEmbedding over floats")
    count = int(model.n_neighbors)
    if count > _MOST_NEAR:
        raise UnsupportedError(f"a LocallyLinearEmbedding by {count} neighbours")
    near = spread_points(model.nbrs_, program, table, count, "connectivity")
    places = np.ascontiguousarray(model.embedding_, np.float64)
    return table_of(
        program.add(
            "balance",
            [as_numbers(program, table), near],
            "double",
            places.shape[1],
            count=count,
            points=np.ascontiguousarray(model.nbrs_._fit_X, np.float64).ravel(),
            places=places.ravel(),
            more=np.array([model.reg], np.float64),
        )
    )


@index.reads(TRANSFORMERS, "sklearn.Isomap")
def unroll(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for too many points."""
    ways = np.ascontiguousarray(model.dist_matrix_, np.float64)
    if ways.size > _MOST_WAYS:
        raise UnsupportedError(f"ways between {len(ways)} points")
    count = 0 if model.n_neighbors is None else int(model.n_neighbors)
    reach = spread_points(model.nbrs_, program, table, count, "reach")
    shortest = program.add("paths", [reach], "double", ways.shape[1], ways=ways.ravel())
    squares = program.add("square", [shortest], "double", shortest.width)
    kernels = compute(program, squares, "*", np.float64(-0.5))
    return project_centered(model.kernel_pca_, program, kernels)
