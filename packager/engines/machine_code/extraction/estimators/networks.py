"""Perceptrons of several layers."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import apply, both_sides, weigh
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import Table, as_numbers, table_of

_ACTIVATIONS = {
    "identity": "",
    "logistic": "expit",
    "tanh": "tanh",
    "relu": "rectify",
    "softmax": "softmax",
    "exp": "exp",
}


def run_layers(model: Fitted, program: Program, table: Table) -> Block:
    """Raises UnsupportedError for an activation that is not known."""
    block = as_numbers(program, table, ("double", "float"))
    last = len(model.coefs_) - 1
    for at, (weights, offsets) in enumerate(zip(model.coefs_, model.intercepts_)):
        block = weigh(program, table_of(block), np.asarray(weights).T, offsets)
        name = model.out_activation_ if at == last else model.activation
        if name not in _ACTIVATIONS:
            raise UnsupportedError(f"the activation {name!r}")
        block = apply(program, _ACTIVATIONS[name], block) if _ACTIVATIONS[name] else block
    return block


@index.reads(ESTIMATORS, "sklearn.MLPRegressor")
def estimate_numbers(model: Fitted, program: Program, table: Table) -> Answer:
    return Answer(run_layers(model, program, table))


@index.reads(ESTIMATORS, "sklearn.MLPClassifier")
def estimate_classes(model: Fitted, program: Program, table: Table) -> Answer:
    shares = run_layers(model, program, table)
    if model.out_activation_ == "logistic" and shares.width > 1:
        half = np.full(shares.width, 0.5)
        return Answer(program.add("above", [shares], "int64", shares.width, constants=half))
    if shares.width > 1:
        return Answer(shares, program.add("argmax", [shares], "int64", 1))
    best = program.add("above", [shares], "int64", 1, constants=np.array([0.5]))
    return Answer(both_sides(program, shares), best)
