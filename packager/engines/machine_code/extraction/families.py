"""The index of the files that read models, and the way in."""

from __future__ import annotations

from typing import Sequence

from packager.engines.machine_code.extraction import composition, index
from packager.engines.machine_code.extraction.estimators import (
    boosters,
    catboost_models,
    discriminants,
    ensembles,
    kernels,
    linear,
    naive_bayes,
    neighbors,
    networks,
    outliers,
    sklearn_trees,
    support_vectors,
    wrappers,
)
from packager.engines.machine_code.extraction.index import Fitted
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.extraction.rounding import check_turns
from packager.engines.machine_code.extraction.tables import Column, Table
from packager.engines.machine_code.extraction.transformers import (
    distributions,
    encoders,
    expansions,
    functions,
    neighbor_graphs,
    projections,
    sampled_kernels,
    scalers,
    selection,
    target_encoder,
    topics,
)

FILES = (
    boosters, catboost_models, composition, discriminants, distributions, encoders, ensembles,
    expansions, functions, kernels, linear, naive_bayes, neighbor_graphs, neighbors, networks,
    outliers, projections, sampled_kernels, scalers, selection, sklearn_trees, support_vectors,
    target_encoder, topics, wrappers,
)  # fmt: skip
_METHODS = ("predict", "predict_proba")


def list_classes() -> frozenset[str]:
    """Classes that some file reads, as `sklearn.Ridge`: the package and the class."""
    return frozenset(index.ESTIMATORS) | frozenset(index.TRANSFORMERS)


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
    try:
        found = index.estimate(model, program, table)
    except (UnsupportedError, MemoryError, RecursionError):
        raise
    except Exception as error:
        # a version that names or shapes its parts in another way, or whatever its own code raises
        message = f"{index.name_class(model)} in a form that is not known: {error}"
        raise UnsupportedError(message) from error
    wanted = found.numbers if method == "predict_proba" else found.best or found.numbers
    if wanted is None or (method == "predict_proba" and found.best is None):
        raise UnsupportedError(f"{method} of {type(model).__name__}")
    program.set_answer(wanted, len(model.classes_) if wanted == found.best else 0)
    check_turns(program)
    return program
