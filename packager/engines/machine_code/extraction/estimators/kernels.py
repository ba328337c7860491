"""Sums of kernels between a row and the rows of training."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import (
    above_zero,
    apply,
    both_sides,
    share,
    weigh,
)
from packager.engines.machine_code.extraction.estimators.support_vectors import compute_kernels
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
    combine,
    compute,
    table_of,
    take,
)

_LANES = 8
"""A BLAS adds in 4 to 32, by the processor."""


def _compute(program: Program, table: Table, points: Array, kernel: Fitted, model: Fitted) -> Block:
    """Kernels whose settings default as those of `sklearn.metrics.pairwise` do."""
    gamma = getattr(model, "gamma_", None)
    gamma = model.gamma if gamma is None else gamma
    gamma = 1.0 / np.shape(points)[1] if gamma is None else gamma
    coef0 = 1.0 if model.coef0 is None else model.coef0
    degree = 3 if model.degree is None else model.degree
    if float(degree) != int(degree):
        raise UnsupportedError("a kernel of a degree that is not whole")
    name = {"polynomial": "poly", "rbf": "rbf of products"}.get(kernel, kernel)
    settings = (float(gamma), float(coef0), int(degree))
    return compute_kernels(program, table, points, name, settings)


def _weigh_kernels(program: Program, kernels: Block, weights: Array) -> Block:
    """Sums over the rows of training: the rounding of one lane would grow with their number."""
    weights = np.atleast_2d(weights)
    return weigh(program, table_of(kernels), weights, np.zeros(len(weights)), _LANES)


@index.reads(ESTIMATORS, "sklearn.KernelRidge")
def estimate_ridge(model: Fitted, program: Program, table: Table) -> Answer:
    kernels = _compute(program, table, model.X_fit_, model.kernel, model)
    weights = np.atleast_2d(np.asarray(model.dual_coef_).T)
    return Answer(_weigh_kernels(program, kernels, weights))


@index.reads(TRANSFORMERS, "sklearn.KernelPCA")
def project_kernels(model: Fitted, program: Program, table: Table) -> Table:
    return project_centered(
        model, program, _compute(program, table, model.X_fit_, model.kernel, model)
    )


def project_centered(model: Fitted, program: Program, kernels: Block) -> Table:
    """A KernelPCA's components of a row's kernels."""
    center = model._centerer
    total = program.add("norm", [kernels], "double", 1, how="sum", least=np.zeros(1))
    mean = compute(program, total, "/", np.float64(kernels.width))
    moved = combine(program, compute(program, kernels, "-", center.K_fit_rows_), "-", mean)
    moved = compute(program, moved, "+", np.float64(center.K_fit_all_))
    values = np.asarray(model.eigenvalues_)
    some = np.flatnonzero(values)
    weights = np.zeros_like(model.eigenvectors_)
    weights[:, some] = model.eigenvectors_[:, some] / np.sqrt(values[some])
    return table_of(_weigh_kernels(program, moved, weights.T))


@index.reads(TRANSFORMERS, "sklearn.Nystroem")
def approximate_kernels(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for kernels with settings by name."""
    if model.kernel_params:
        raise UnsupportedError("a Nystroem with kernel_params")
    kernels = _compute(program, table, model.components_, model.kernel, model)
    return table_of(_weigh_kernels(program, kernels, np.asarray(model.normalization_)))


@index.reads(ESTIMATORS, "sklearn.LabelPropagation", "sklearn.LabelSpreading")
def estimate_spread_labels(model: Fitted, program: Program, table: Table) -> Answer:
    if model.kernel != "rbf":
        raise UnsupportedError(f"labels spread by the kernel {model.kernel!r}")
    settings = (float(model.gamma), 0.0, 1)
    kernels = compute_kernels(program, table, model.X_, "rbf", settings)
    sums = _weigh_kernels(program, kernels, np.asarray(model.label_distributions_).T)
    shares = share(program, sums, "nan")
    return Answer(shares, program.add("argmax", [shares], "int64", 1))


def read_gaussian(kernel: Fitted) -> tuple[float, Array, float]:
    """Factor, lengths and noise of a kernel.

    Raises UnsupportedError for one that is not made of constants, RBF and white noise.
    """
    name = type(kernel).__name__
    if name == "RBF":
        return 1.0, np.ravel(np.asarray(kernel.length_scale, np.float64)), 0.0
    if name == "Product" and type(kernel.k1).__name__ == "ConstantKernel":
        factor, lengths, noise = read_gaussian(kernel.k2)
        return factor * float(kernel.k1.constant_value), lengths, noise
    if name == "Sum" and type(kernel.k2).__name__ == "WhiteKernel":
        return read_gaussian(kernel.k1)
    raise UnsupportedError(f"the kernel {name} of a Gaussian process")


def compute_gaussian(model: Fitted, program: Program, table: Table) -> tuple[float, float, Block]:
    """Factor and noise of a process's kernel, and the kernel of the rows with what it was fit on.

    Raises UnsupportedError as `read_gaussian` does.
    """
    factor, lengths, noise = read_gaussian(model.kernel_)
    block = compute(program, as_numbers(program, table), "/", lengths)
    points = np.asarray(model.X_train_, np.float64) / lengths
    return factor, noise, compute_kernels(program, table_of(block), points, "rbf", (0.5, 0.0, 1))


@index.reads(ESTIMATORS, "sklearn.GaussianProcessRegressor")
def estimate_process(model: Fitted, program: Program, table: Table) -> Answer:
    factor, _noise, kernels = compute_gaussian(model, program, table)
    alpha = np.asarray(model.alpha_, np.float64)
    weights = factor * alpha.reshape(len(model.X_train_), -1).T
    sums = _weigh_kernels(program, kernels, weights)
    scaled = compute(program, sums, "*", np.ravel(model._y_train_std))
    return Answer(compute(program, scaled, "+", np.ravel(model._y_train_mean)))


_SLOPES = np.array([0.41, 0.4, 0.37, 0.44, 0.39])
_SHARES = np.array([-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654])
"""The logistic function as a sum of error functions (Williams and Barber 1998, appendix A)."""


@index.reads(ESTIMATORS, "sklearn.GaussianProcessClassifier")
def estimate_classes_of_process(model: Fitted, program: Program, table: Table) -> Answer:
    return index.estimate(model.base_estimator_, program, table)


@index.reads(ESTIMATORS, "sklearn._BinaryGaussianProcessClassifierLaplace")
def estimate_latent_share(model: Fitted, program: Program, table: Table) -> Answer:
    """The latent mean's sign, and its logistic function's mean over the latent variance."""
    factor, noise, kernels = compute_gaussian(model, program, table)
    some = compute(program, kernels, "*", np.float64(factor))
    mean = _weigh_kernels(program, some, np.asarray(model.y_train_ - model.pi_, np.float64))
    inverse = np.linalg.inv(np.asarray(model.L_)) * np.asarray(model.W_sr_)
    apart = _weigh_kernels(program, some, inverse)
    squares = apply(program, "square", apart)
    sums = program.add("norm", [squares], "double", 1, how="sum", least=np.zeros(1))
    rest = apply(program, "negative", compute(program, sums, "-", np.float64(factor + noise)))
    alpha = apply(program, "reciprocal", compute(program, rest, "*", np.float64(2.0)))
    wide = [take(program, each, [0] * len(_SLOPES)) for each in (alpha, mean)]
    narrowed = combine(program, wide[0], "/", compute(program, wide[0], "+", _SLOPES**2))
    steep = compute(program, wide[1], "*", _SLOPES)
    curves = apply(program, "erf", combine(program, steep, "*", apply(program, "sqrt", narrowed)))
    found = weigh(program, table_of(curves), 0.5 * _SHARES, np.array([0.5 * _SHARES.sum()]))
    return Answer(both_sides(program, found), above_zero(program, mean))


@index.reads(TRANSFORMERS, "sklearn.BernoulliRBM")
def activate_hidden(model: Fitted, program: Program, table: Table) -> Table:
    sums = weigh(program, table, model.components_, model.intercept_hidden_)
    return table_of(apply(program, "expit", sums))
