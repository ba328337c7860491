"""torch modules in half precision, compiled, or as CUDA graphs: what acceleration.py proves.

A loader's predictor lends its module by `with_weights(change)`, which gives a predictor over the
changed module, and, where the module is called with one tensor, by `with_call(change)`.
"""

from __future__ import annotations

import copy
import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from handlers.scoring.predictor import Predictor

if TYPE_CHECKING:
    from types import ModuleType
    from typing import TypeAlias

    import torch

Call: TypeAlias = "Callable[..., Any]"


class UnsupportedError(Exception):
    """Reason why this model, or this machine, does not allow it."""


def quick(predictor: Predictor, precision: str, tier: str, sizes: Sequence[int]) -> Predictor:
    """A predictor of its own; `predictor` stays as it is. Raises UnsupportedError."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(predictor, "with_weights"):
        raise UnsupportedError("the flavor lends no torch module")
    if tier != "eager" and not hasattr(predictor, "with_call"):
        raise UnsupportedError("the flavor's module is not called with one tensor")
    if tier == "graphs" and not torch.cuda.is_available():
        raise UnsupportedError("CUDA graphs need a GPU, and torch sees none")
    made: Any = predictor
    if precision != "float32":
        made = _convert_weights(made, precision, getattr(torch, precision))
    if tier == "compile":
        _allow_sizes(len(sizes))
        made = made.with_call(
            lambda call: Fixed(call, sizes, functools.partial(_compile_call, torch))
        )
    elif tier == "graphs":
        made = made.with_call(
            lambda call: Fixed(call, sizes, functools.partial(_capture_graph, torch))
        )
    return made  # type: ignore[no-any-return]


def _convert_weights(predictor: Any, precision: str, dtype: object) -> object:
    try:
        made = predictor.with_weights(lambda module: copy.deepcopy(module).to(dtype))
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedError(f"its weights cannot be {precision}: {error}") from error
    if hasattr(made, "with_call"):
        made = made.with_call(functools.partial(_cast_values, dtype=dtype))
    return made


def _cast_values(call: Call, dtype: torch.dtype) -> Call:
    """Numbers with a fraction go in as `dtype` and come out in single precision."""

    def cast(x: torch.Tensor, **params: object) -> torch.Tensor:
        answer = call(x.to(dtype) if x.is_floating_point() else x, **params)
        return answer.float() if answer.is_floating_point() else answer

    return cast


class Fixed:
    """A module for some sizes of batch alone; rows are filled up to the next, and cut again.

    What it was not made for (more rows, another shape, parameters) is asked of the plain call.
    """

    def __init__(
        self, call: Call, sizes: Sequence[int], make: Callable[[Call, object], Call]
    ) -> None:
        self._call, self._sizes, self._make = call, sorted(sizes), make
        self._made: dict[int, Call] = {}
        self._row: tuple[Any, ...] | None = None

    def __call__(self, x: torch.Tensor, **params: object) -> torch.Tensor:
        rows = len(x)
        size = next((each for each in self._sizes if each >= rows), None)
        row = (tuple(x.shape[1:]), x.dtype)
        self._row = self._row or row
        if params or size is None or row != self._row or not rows:
            return self._call(x, **params)
        full = x if size == rows else x[[*range(rows), *[rows - 1] * (size - rows)]]
        if size not in self._made:
            self._made[size] = self._make(self._call, full)
        return self._made[size](full)[:rows]


def _compile_call(torch: ModuleType, call: Call, _: object) -> Call:
    # https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    made: Call = torch.compile(call, dynamic=False)
    return made


def _allow_sizes(count: int) -> None:
    """One compilation a size: beyond the limit torch would run the rest uncompiled, unasked."""
    config = importlib.import_module("torch._dynamo.config")
    for name in ("recompile_limit", "cache_size_limit"):
        if hasattr(config, name):
            setattr(config, name, max(getattr(config, name), count + 2))


def _capture_graph(torch: ModuleType, call: Call, x: torch.Tensor) -> Call:
    """One CUDA graph; its answer holds until the next replay.

    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """
    with torch.cuda.device(x.device):
        held = x.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                call(held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = call(held)

    def replay_graph(value: object) -> object:
        held.copy_(value)
        graph.replay()
        return answer

    return replay_graph
