"""Interface of every family of compilers: graphs to try, the one nearest to the model first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from packager.engines.proof.inputs import Before, Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    name: str
    """What a person reads."""
    graph: Callable[[], Any]
    """Makes the onnx.ModelProto; raises what the converter raises."""
    feeds: list[dict[str, Any]]
    output: int
    """Which of the graph's outputs is the answer."""
    precision: Literal["double", "float"] = "float"
    exact: bool = False
    """Whether numbers have to be the model's to the last bit, whatever tolerance there is."""
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By text column, the only words that the model answers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Compilers for the models of one framework."""

    candidates: Callable[[Any, Inputs, str], Iterator[Candidate]]
    """Of a model, its inputs and the method that predicts."""
    thresholds: Callable[[Any], Mapping[int, npt.NDArray[Any]]]
    """Split thresholds by the position of an input column, as far as the trees read inputs."""
    splits: Callable[[Any], Sequence[Any]] = field(default=lambda _model: ())
    """Each `splitting.Split` where the trees read the inputs themselves: rows are led to them."""
    before: Callable[[Any], Before | None] = field(default=lambda _model: None)
    """What stands between the inputs and the trees."""
    seen: Callable[[Any], frozenset[str | float]] = field(default=lambda _model: frozenset())
    """Category values, words and numbers, that an encoder of the model has seen."""
