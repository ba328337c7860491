"""The index of the files that read models, and the way in."""

from __future__ import annotations

from typing import Sequence

from packager.engines.machine_code.extraction import (
    boosters,
    composition,
    encoders,
    index,
    linear,
    scalers,
    sklearn_trees,
)
from packager.engines.machine_code.extraction.index import Fitted
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import Column, Table

FILES = (boosters, composition, encoders, linear, scalers, sklearn_trees)
_METHODS = ("predict", "predict_proba")
_LABELS_ALONE = (
    "LinearSVC",
    "PassiveAggressiveClassifier",
    "Perceptron",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "SGDClassifier",
)


def extract_program(
    model: Fitted, names: Sequence[str], kinds: Sequence[str], method: str
) -> Program:
    """The form of a fitted model whose inputs are columns of these names and types.

    Raises UnsupportedError with the name of what no operation stands for.
    """
    if method not in _METHODS:
        raise UnsupportedError(f"the method {method}")
    program = Program()
    blocks = [program.add_input(kind) for kind in kinds]
    table = Table(tuple(Column(name, block, 0) for name, block in zip(names, blocks)))
    found = index.estimate(model, program, table)
    if method == "predict_proba":
        if found.best is None or type(_find_last(model)).__name__ in _LABELS_ALONE:
            raise UnsupportedError(f"predict_proba of {type(model).__name__}")
        program.set_answer(found.numbers)
    elif found.best is not None:
        program.set_answer(found.best, len(model.classes_))
    else:
        program.set_answer(found.numbers)
    return program


def _find_last(model: Fitted) -> Fitted:
    for name in ("best_estimator_", "_final_estimator"):
        inner = getattr(model, name, None)
        if inner is not None:
            return _find_last(inner)
    return model
