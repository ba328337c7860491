"""Projections: columns weighed into fewer others."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import weigh
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    compute,
    table_of,
    take,
    version_of,
)

_FLOATS = ("double", "float")


def project(program: Program, block: Block, weights: Array) -> Block:
    weights = np.asarray(weights)
    return weigh(program, table_of(block), weights, np.zeros(len(weights), weights.dtype))


@index.reads(TRANSFORMERS, "sklearn.PCA", "sklearn.IncrementalPCA")
def project_on_components(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    weights = np.asarray(model.components_)
    if version_of("sklearn") < (1, 5):
        block = project(program, compute(program, block, "-", model.mean_), weights)
    else:
        shift = np.reshape(model.mean_, (1, -1)) @ weights.T
        block = compute(program, project(program, block, weights), "-", shift.ravel())
    if model.whiten:
        scale = np.sqrt(np.asarray(model.explained_variance_))
        least = np.finfo(scale.dtype).eps
        block = compute(program, block, "/", np.where(scale < least, least, scale))
    return table_of(block)


@index.reads(TRANSFORMERS, "sklearn.TruncatedSVD", "sklearn.GaussianRandomProjection")
@index.reads(TRANSFORMERS, "sklearn.SparseRandomProjection")
def project_as_is(model: Fitted, program: Program, table: Table) -> Table:
    weights = model.components_
    dense = weights.toarray() if hasattr(weights, "toarray") else weights
    return table_of(project(program, as_numbers(program, table, _FLOATS), dense))


@index.reads(TRANSFORMERS, "sklearn.FastICA")
def separate_sources(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    if model.whiten:
        block = compute(program, block, "-", model.mean_)
    return table_of(project(program, block, model.components_))


@index.reads(TRANSFORMERS, "sklearn.FactorAnalysis")
def estimate_factors(model: Fitted, program: Program, table: Table) -> Table:
    block = compute(program, as_numbers(program, table, ("double",)), "-", model.mean_)
    shares = model.components_ / model.noise_variance_
    covariance = np.linalg.inv(np.eye(len(model.components_)) + shares @ model.components_.T)
    return table_of(project(program, project(program, block, shares), covariance.T))


@index.reads(TRANSFORMERS, "sklearn.LinearDiscriminantAnalysis")
def separate_classes(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for the solver that cannot."""
    block = as_numbers(program, table, _FLOATS)
    if model.solver == "lsqr":
        raise UnsupportedError("transform by the solver lsqr")
    if model.solver == "svd":
        block = compute(program, block, "-", model.xbar_)
    found = project(program, block, model.scalings_.T)
    return table_of(take(program, found, range(min(found.width, model._max_components))))


@index.reads(TRANSFORMERS, "sklearn.NeighborhoodComponentsAnalysis")
def project_for_neighbors(model: Fitted, program: Program, table: Table) -> Table:
    return table_of(project(program, as_numbers(program, table, _FLOATS), model.components_))


@index.reads(TRANSFORMERS, "sklearn.PLSRegression", "sklearn.PLSCanonical", "sklearn.CCA")
@index.reads(TRANSFORMERS, "sklearn.PLSSVD")
def project_on_latent(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, ("double",))
    block = compute(program, block, "-", getattr(model, "_x_mean", 0.0))
    block = compute(program, block, "/", getattr(model, "_x_std", 1.0))
    weights = getattr(model, "x_rotations_", None)
    weights = model.x_weights_ if weights is None else weights
    return table_of(project(program, block, np.asarray(weights).T))


@index.reads(TRANSFORMERS, "sklearn.RBFSampler")
def sample_kernel(model: Fitted, program: Program, table: Table) -> Table:
    block = project(program, as_numbers(program, table, _FLOATS), model.random_weights_.T)
    block = compute(program, block, "+", model.random_offset_)
    block = program.add("cos", [block], block.kind, block.width)
    by = (2.0 / model.n_components) ** 0.5
    return table_of(compute(program, block, "*", np.float64(by)))


@index.reads(TRANSFORMERS, "sklearn.SparsePCA", "sklearn.MiniBatchSparsePCA")
def project_on_sparse(model: Fitted, program: Program, table: Table) -> Table:
    """A ridge regression of each row on the components, solved once for all.

    Versions whose regression drops an axis of a single row's answer refuse that row.
    """
    block = as_numbers(program, table, ("double",))
    if np.ndim(model.transform(np.zeros((1, table.width)))) < 2:
        block = program.add("refuse_alone", [block], block.kind, block.width, refuses=True)
    block = compute(program, block, "-", model.mean_)
    components = np.asarray(model.components_, np.float64)
    inner = components @ components.T + float(model.ridge_alpha) * np.eye(len(components))
    return table_of(project(program, block, np.linalg.solve(inner, components)))


@index.reads(TRANSFORMERS, "sklearn.DictionaryLearning", "sklearn.MiniBatchDictionaryLearning")
@index.reads(TRANSFORMERS, "sklearn.SparseCoder")
def choose_atoms(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for a search other than orthogonal matching pursuit."""
    if model.transform_algorithm != "omp" or model.split_sign or model.positive_code:
        raise UnsupportedError(f"a code by {model.transform_algorithm}")
    atoms = getattr(model, "components_", None)
    atoms = np.asarray(model.dictionary if atoms is None else atoms, np.float64)
    count = model.transform_n_nonzero_coefs
    if count is None:
        count = min(max(atoms.shape[1] / 10, 1), len(atoms))
    products = project(program, as_numbers(program, table), atoms)
    return table_of(
        program.add(
            "pursue",
            [products],
            "double",
            len(atoms),
            count=int(count),
            products=np.ascontiguousarray(atoms @ atoms.T).ravel(),
        )
    )


@index.reads(TRANSFORMERS, "sklearn.FeatureAgglomeration")
def average_groups(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for groups that are pooled by another function than the mean."""
    if model.pooling_func is not np.mean:
        raise UnsupportedError("a FeatureAgglomeration with a pooling function")
    labels = np.asarray(model.labels_)
    ones = (labels == np.arange(labels.max() + 1)[:, None]).astype(np.float64)
    sums = project(program, as_numbers(program, table, ("double",)), ones)
    return table_of(compute(program, sums, "/", ones.sum(axis=1)))
