"""Signatures and type hints, as pickles of models carry them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable


class ModelSignature:
    """Inputs, outputs and params; nothing here reads them."""

    def __init__(
        self, inputs: object = None, outputs: object = None, params: object = None
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.params = params


class _TypeHints:
    def __init__(self, input_: object = None, output: object = None) -> None:
        self.input = input_
        self.output = output


def takes_context(function: Callable[..., object]) -> bool:
    """Tell whether `predict` has a context before its input, by name or by count."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    return "context" in names or len([name for name in names if name != "params"]) == 2


def hints_of(function: Callable[..., object], position: int) -> _TypeHints:
    """Return hints of the input at `position` (self left out) and of what is returned."""
    target = function if hasattr(function, "__annotations__") else type(function).__call__
    names = [name for name in inspect.signature(target).parameters if name != "self"]
    try:
        found = typing.get_type_hints(target)
    except (TypeError, NameError):
        return _TypeHints()
    name = names[position] if position < len(names) else ""
    return _TypeHints(found.get(name), found.get("return"))
