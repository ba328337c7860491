"""Before the first request: each size of batch is run once, what fits is found, batching proven.

An answer to a row must not hang on the rows beside it. So rows of the example are predicted one by
one and together, and where these differ by more than a stated tolerance nothing is ever merged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from handlers.container_server import accelerator
from handlers.container_server.runner import Predict, free, out_of_memory, slice_rows
from handlers.scoring import request_merging
from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_LOG = logging.getLogger(__name__)
RTOL: Final = 1e-4
ATOL: Final = 1e-5
"""Kernels sum in another order for another batch; labels and texts must be equal."""
_ROOM: Final = 0.9
"""Of the device's memory: what may be used at the largest batch."""
_SHOWN: Final = 8
Alike: TypeAlias = "Callable[[Any, Any], bool]"


@dataclass(frozen=True)
class Warm:
    """Findings about one device."""

    batch_rows: int
    merges: bool
    """Whether requests may go to the model together."""
    why: str
    sizes: tuple[tuple[int, float], ...]
    """Rows and seconds of each batch that was run."""


def warm_up(
    predict: Predict,
    example: Checked | None,
    most_rows: int,
    memory: Callable[[], accelerator.Memory | None],
    alike: Alike | None = None,
) -> Warm:
    """Batches of 1, 2, 4... rows up to the largest that fits into the device's memory.

    `alike` judges two answers to one row where `same` would be too strict. Raises ScoringError
    where the model cannot answer its own example.
    """
    if example is None:
        return Warm(
            1, merges=False, why="the model has no example of rows to try it with", sizes=()
        )
    base, params = example.data, example.params
    if request_merging.form(example) is None:
        predict(base, params)
        return Warm(1, merges=False, why="the model is not asked by rows", sizes=())
    sizes: list[tuple[int, float]] = []
    rows, fits = 1, 1
    while rows <= most_rows:
        data = repeat_rows(base, rows)
        try:
            begun = time.monotonic()
            predict(data, params)
            sizes.append((rows, time.monotonic() - begun))
        except ScoringError as error:
            if rows == 1 or not out_of_memory(error):
                raise
            free()
            break
        held = memory()
        if held is not None and rows > 1 and held.used > _ROOM * held.total:
            break
        fits = rows
        rows *= 2
    merges, why = by_row(predict, base, params, alike or same)
    return Warm(fits, merges=merges, why=why, sizes=tuple(sizes))


def repeat_rows(data: object, rows: int) -> object:
    """As many rows as asked for, of the example's over and over."""
    there = request_merging.length(data)
    copies = request_merging.join_rows([data] * -(-rows // there)) if rows > there else data
    return slice_rows(copies, 0, rows)


def by_row(
    predict: Predict, data: object, params: dict[str, object] | None, alike: Alike
) -> tuple[bool, str]:
    """Tell whether a row's answer is the same whatever goes with it, and why not."""
    rows = request_merging.length(vary_rows(data))
    shown = min(rows, _SHOWN)
    several = slice_rows(vary_rows(data), 0, shown)
    try:
        whole = request_merging.shares(predict(several, params), [1] * shown)
        alone = [predict(slice_rows(several, at, at + 1), params) for at in range(shown)]
    except ScoringError as error:
        return False, f"rows of the example could not be tried together: {error.message}"
    if whole is None:
        return False, "the model does not answer with one value a row"
    for mine, single in zip(whole, alone):
        if not alike(mine, single):
            return False, "a row is answered otherwise beside other rows"
    return True, f"{shown} rows were answered alike alone and together"


def vary_rows(data: object) -> object:
    """The example, and where it is one row of plain numbers, a few more like it."""
    if request_merging.length(data) > 1:
        return data
    scales = np.linspace(0.5, 1.5, 4)
    if isinstance(data, np.ndarray) and data.dtype.kind == "f":
        return np.concatenate([(data * scale).astype(data.dtype) for scale in scales])
    if isinstance(data, dict) and all(array.dtype.kind == "f" for array in data.values()):
        return {
            name: np.concatenate([(array * scale).astype(array.dtype) for scale in scales])
            for name, array in data.items()
        }
    return request_merging.join_rows([data, data])


def _read_cells(table: Any) -> object:
    """The arrays of a DataFrame by its columns' names, the array of a Series."""
    if hasattr(table, "columns"):
        return {name: value.to_numpy() for name, value in table.items()}
    return table.to_numpy()


def same(one: Any, other: Any) -> bool:
    """Equal, and numbers with a fraction within the tolerance."""
    if hasattr(one, "iloc"):
        one, other = _read_cells(one), _read_cells(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return _are_close(np.asarray(one), np.asarray(other))


def _are_close(left: np.ndarray, right: np.ndarray) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype.kind == "f" and right.dtype.kind in "fiu":
        return bool(np.allclose(left, right, rtol=RTOL, atol=ATOL, equal_nan=True))
    return bool(np.array_equal(left, right))
