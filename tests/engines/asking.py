"""A fitted model held to its graph as the compiler does it, without a registry."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.onnx.families import family_of
from packager.engines.onnx.graph_under_test import GraphCase
from packager.engines.onnx.selection import prove
from packager.engines.proof.inputs import Column, Inputs
from packager.engines.proof.test_rows import Table

NAMES = ("a", "b", "c", "d")


def table(rows: int, seed: int = 0) -> Table:
    """Columns of positive numbers, as a signature of doubles has them."""
    drawn = np.random.default_rng(seed).gamma(2.0, 2.0, (rows, len(NAMES)))
    return {name: drawn[:, at] for at, name in enumerate(NAMES)}


def matrix(columns: Mapping[str, Any]) -> Any:
    return np.stack(list(columns.values()), axis=1)


def targets(columns: Table) -> tuple[Any, Any]:
    """(classes, numbers) that hang on the columns."""
    values = matrix(columns)
    score = values[:, 0] - values[:, 1] + 0.3 * values[:, 2] * values[:, 3]
    return np.digitize(score, np.quantile(score, (0.3, 0.7))), score + 40.0


def case(
    model: Any,
    *,
    family: Family | None = None,
    method: str = "predict",
    rows: int = 2000,
    **changes: Any,
) -> GraphCase:
    """Raises RefusedError where the model answers with nothing that a graph could."""
    given: dict[str, Any] = {
        "predict": lambda columns: np.asarray(getattr(model, method)(matrix(columns))),
        "inputs": Inputs(columns=tuple(Column(name, "double") for name in NAMES)),
        "table": table(rows, seed=1),
        "example": table(5, seed=2),
        "rtol": 1e-5,
        "atol": 1e-6,
        "seed": 0,
        **changes,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GraphCase(model=model, family=family or family_of(model), method=method, **given)


def proven(made: GraphCase, out: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prove(made, out)


def with_graph(model: Any, change: Callable[[onnx.ModelProto], Any], rows: int = 50) -> Any:
    """A case whose one candidate is the first of the model's own, its graph changed."""
    family = family_of(model)

    def changed(model: Any, inputs: Inputs, method: str) -> Iterator[Candidate]:
        first = next(iter(family.candidates(model, inputs, method)))
        yield replace(first, graph=lambda: change(first.graph()))

    return case(model, rows=rows, family=replace(family, candidates=changed))
