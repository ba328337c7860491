"""Inputs of a model by its signature, and the refusal of a model that no engine stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy.typing as npt

    Before = Callable[["Inputs", Mapping[str, npt.NDArray[Any]]], npt.NDArray[Any]]
else:
    Before = Any


class RefusedError(Exception):
    """A model that the engine does not compile, with the reason."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    """Of MLflow's schema: double, float, long, integer, boolean or string."""


@dataclass(frozen=True)
class Inputs:
    """Inputs of a request by the signature: columns, or one tensor by its name."""

    columns: tuple[Column, ...] = ()
    tensor: str | None = None
    tail: tuple[int, ...] = ()
    """The tensor's axes behind the first."""
    dtype: str = ""
    """The tensor's, as numpy names it."""

    @property
    def numeric(self) -> bool:
        return all(column.type != "string" for column in self.columns)

    def matrix(self, dtype: str, name: str = "X") -> list[dict[str, object]]:
        """One feed that takes every column in order, or the tensor."""
        names = [column.name for column in self.columns] or None
        return [{"input": name, "dtype": dtype, "columns": names, "tensor": self.tensor}]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return (len(self.columns),) if self.columns else self.tail

    @property
    def count(self) -> int:
        return math.prod(self.shape)


class Hints(Protocol):
    """Knowledge of a model's inside, for rows that an engine could answer otherwise."""

    @property
    def thresholds(self) -> Callable[[object], Mapping[int, npt.NDArray[Any]]]:
        """Split thresholds of the model by the position of an input column."""

    @property
    def splits(self) -> Callable[[object], Sequence[Any]]:
        """Each `Split` where the trees read the inputs themselves: rows are led to them."""

    @property
    def before(self) -> Callable[[object], Before | None]:
        """The steps between the inputs and the trees."""

    @property
    def seen(self) -> Callable[[object], frozenset[str | float]]:
        """Category values, words and numbers, that an encoder of the model has seen."""
