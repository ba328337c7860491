"""Naive Bayes: logarithms of likelihoods, summed over the columns."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import apply, weigh
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    combine,
    compute,
    stack,
    table_of,
)


def finish(program: Program, likelihoods: Block) -> Answer:
    """The likeliest class, and each class's share of all likelihoods."""
    best = program.add("argmax", [likelihoods], "int64", 1)
    return Answer(apply(program, "exp", apply(program, "log_shares", likelihoods)), best)


@index.reads(ESTIMATORS, "sklearn.GaussianNB")
def estimate_gaussian(model: Fitted, program: Program, table: Table) -> Answer:
    variances = getattr(model, "var_", None)
    variances = np.asarray(model.sigma_ if variances is None else variances, np.float64)
    sums = program.add(
        "distances",
        [as_numbers(program, table)],
        "double",
        len(variances),
        metric="scaled",
        points=np.ascontiguousarray(model.theta_, np.float64).ravel(),
        scales=np.ascontiguousarray(variances).ravel(),
    )
    # in the order of the source: far from every class these are large, and their difference counts
    constants = np.array([-0.5 * np.sum(np.log(2.0 * np.pi * row)) for row in variances])
    halves = compute(program, compute(program, sums, "*", np.float64(-0.5)), "+", constants)
    return finish(program, compute(program, halves, "+", np.log(model.class_prior_)))


@index.reads(ESTIMATORS, "sklearn.MultinomialNB")
def estimate_multinomial(model: Fitted, program: Program, table: Table) -> Answer:
    weights = model.feature_log_prob_
    return finish(program, weigh(program, table, weights, model.class_log_prior_))


@index.reads(ESTIMATORS, "sklearn.ComplementNB")
def estimate_complement(model: Fitted, program: Program, table: Table) -> Answer:
    weights = model.feature_log_prob_
    offsets = model.class_log_prior_ if len(model.classes_) == 1 else np.zeros(len(weights))
    return finish(program, weigh(program, table, weights, offsets))


@index.reads(ESTIMATORS, "sklearn.BernoulliNB")
def estimate_bernoulli(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError where the columns are taken for flags as they are."""
    if model.binarize is None:
        raise UnsupportedError("a BernoulliNB with binarize=None")
    block = as_numbers(program, table)
    by = np.full(block.width, float(model.binarize))
    flags = program.add("above", [block], "double", block.width, constants=by)
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    offsets = model.class_log_prior_ + absent.sum(axis=1)
    return finish(
        program, weigh(program, table_of(flags), model.feature_log_prob_ - absent, offsets)
    )


@index.reads(ESTIMATORS, "sklearn.CategoricalNB")
def estimate_categorical(model: Fitted, program: Program, table: Table) -> Answer:
    """A number beyond those of training is refused."""
    block = as_numbers(program, table)
    whole = program.add("trunc", [block], "double", block.width)
    sums: Block | None = None
    for at, logarithms in enumerate(model.feature_log_prob_):
        count = logarithms.shape[1]
        position = program.add(
            "find_number",
            [whole],
            "int64",
            1,
            at=at,
            numbers=np.arange(count, dtype=np.float64),
            positions=np.arange(count),
            missing=-1,
            refuses=True,
        )
        parts = [
            program.add("look_up", [position], "double", 1, at=0, constants=np.append(row, 0.0))
            for row in np.asarray(logarithms, np.float64)
        ]
        terms = stack(program, parts)
        sums = terms if sums is None else combine(program, sums, "+", terms)
    if sums is None:
        raise UnsupportedError("a CategoricalNB of no column")
    return finish(program, compute(program, sums, "+", model.class_log_prior_))
