"""Readers of classes, by its module's package and its name."""

from __future__ import annotations

from typing import Callable, NamedTuple, TypeVar

from packager.engines.machine_code.extraction.checks import check_values
from packager.engines.machine_code.extraction.program import (
    Block,
    Fitted,
    Program,
    UnsupportedError,
)
from packager.engines.machine_code.extraction.tables import Table, gather, table_of

Transform = Callable[[Fitted, Program, Table], Table]


class Answer(NamedTuple):
    """Blocks that an estimator answers with."""

    numbers: Block | None
    """What `predict` of a regressor, or `predict_proba` of a classifier answers."""
    best: Block | None = None
    """Of a classifier: the position of the label that `predict` answers."""
    scores: Block | None = None
    """What `decision_function` answers."""


__all__ = [
    "ESTIMATORS",
    "INVERSES",
    "TRANSFORMERS",
    "Answer",
    "Fitted",
    "estimate",
    "reads",
    "transform",
]
Estimate = Callable[[Fitted, Program, Table], Answer]
Reader = TypeVar("Reader")
TRANSFORMERS: dict[str, Transform] = {}
ESTIMATORS: dict[str, Estimate] = {}
INVERSES: dict[str, Callable[[Fitted, Program, Block], Block]] = {}
"""Of transformers of a target: what makes answers of what was estimated."""
COMPOSED: dict[str, bool] = {}
"""Classes that hand their table on as it is: what they are made of refuses values, not they."""


def reads(index: dict[str, Reader], *names: str) -> Callable[[Reader], Reader]:
    """Enter the decorated reader under the names of the classes that it reads."""

    def enter(reader: Reader) -> Reader:
        for name in names:
            index[name] = reader
        return reader

    return enter


def composes(*names: str) -> Callable[[Reader], Reader]:
    """Enter classes that are made of others and take whatever these take."""

    def enter(reader: Reader) -> Reader:
        for name in names:
            COMPOSED[name] = True
        return reader

    return enter


def name_class(model: Fitted) -> str:
    """`sklearn.Ridge`: the package, which stays, and the class; modules in between move."""
    kind = type(model)
    return "{}.{}".format(kind.__module__.partition(".")[0], kind.__name__)


def transform(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for a step that no file reads."""
    if model is None or isinstance(model, str):
        if model in (None, "passthrough"):
            return table
        raise UnsupportedError(f"the step {model!r}")
    name = name_class(model)
    if name not in TRANSFORMERS:
        raise UnsupportedError(f"no operation for the transformer {name}")
    if name not in COMPOSED:
        table = check_values(model, "transform", program, table)
    return TRANSFORMERS[name](model, program, table)


def estimate(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for an estimator that no file reads."""
    name = name_class(model)
    if name not in ESTIMATORS:
        raise UnsupportedError(f"no operation for the estimator {name}")
    if name not in COMPOSED:
        table = check_values(model, "predict", program, table)
    return ESTIMATORS[name](model, program, table)


def invert(model: Fitted, program: Program, block: Block) -> Block:
    """Raises UnsupportedError for a transformer whose inverse no file reads."""
    name = name_class(model)
    if name not in INVERSES:
        raise UnsupportedError(f"no operation for the inverse of {name}")
    if block.kind not in ("double", "float"):
        block = gather(program, table_of(block), "double")
    if name not in COMPOSED:
        # what was estimated may be too large for it
        table = check_values(model, "inverse_transform", program, table_of(block))
        block = table.columns[0].block
    return INVERSES[name](model, program, block)
