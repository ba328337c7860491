"""Faster ways to run a torch module, each held to the plain one before it answers anybody.

PACKAGER_PRECISION is `float32`, `bfloat16` or `float16`: weights and sums in half the bytes.
PACKAGER_TIER is `eager`, `compile` (torch.compile, which wants a compiler beside it) or `graphs`
(CUDA graphs), both for fixed sizes of batch: what lies between two is filled up to the larger.

At start rows like the example's are answered both ways, at each of these sizes and just below it.
Where the numbers part by more than TOLERANCE (or PACKAGER_TOLERANCE), or a label or text differs,
or the way cannot be gone at all, the plain one stays; the log and a gauge say so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from handlers.container_server import modules
from handlers.container_server.runner import Predict
from handlers.container_server.settings import ServiceSettings
from handlers.container_server.warmup import repeat_rows, vary_rows
from handlers.scoring import request_merging
from handlers.scoring.errors import ScoringError
from handlers.scoring.predictor import Predictor
from handlers.scoring.scorer import Checked, Scorer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_LOG = logging.getLogger(__name__)
TOLERANCE: Final = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 5e-3}
"""Of the largest number of an answer: about ten units of half precision's last place."""
_SPREAD: Final = 0.5
Path: TypeAlias = "tuple[Any, ...]"


@dataclass(frozen=True)
class Proof:
    """Use of what was asked for, and what was seen."""

    used: bool
    why: str
    rows: int = 0
    """That were answered both ways."""
    largest: float = 0.0
    """Difference, as TOLERANCE counts it."""


PLAIN: Final = Proof(used=False, why="")


def accelerate_model(
    predictor: Predictor, scorer: Scorer, example: Checked | None, settings: ServiceSettings
) -> tuple[Predictor, Proof]:
    """The predictor that answers from now on: the plain one, where no other is proven."""
    precision, tier = settings.precision, settings.tier
    if (precision, tier) == ("float32", "eager"):
        return predictor, PLAIN
    found, proof = _try_acceleration(predictor, scorer, example, settings)
    tell = _LOG.info if proof.used else _LOG.warning
    tell("%s, %s: %s", precision, tier, proof.why)
    return found, proof


def _try_acceleration(
    predictor: Predictor, scorer: Scorer, example: Checked | None, settings: ServiceSettings
) -> tuple[Predictor, Proof]:
    if example is None or request_merging.form(example) is None:
        return predictor, Proof(used=False, why="there is no example of rows to hold it to")
    sizes = buckets(settings.batch_rows)
    try:
        quick = modules.quick(predictor, settings.precision, settings.tier, sizes)
    except modules.UnsupportedError as error:
        return predictor, Proof(used=False, why=str(error))
    proof = replay(
        scorer.predict,
        Scorer(scorer.manifest, quick).predict,
        example,
        sizes,
        tolerance(settings),
    )
    return (quick if proof.used else predictor), proof


def replay(
    plain: Predict, quick: Predict, example: Checked, sizes: Sequence[int], allowed: float
) -> Proof:
    """Rows like the example's by both, at each size and one below it."""
    rows, largest = 0, 0.0
    for size in sorted({*sizes, *(size - 1 for size in sizes if size > 1)}):
        data = spread(repeat_rows(vary_rows(example.data), size), seed=size)
        try:
            expected = plain(data, example.params)
        except ScoringError as error:
            if rows:
                break  # larger than there is memory for: the warm-up finds how large
            return Proof(used=False, why=f"the model cannot answer such rows: {error.message}")
        try:
            apart = difference(expected, quick(data, example.params))
        except ScoringError as error:
            return Proof(used=False, why=f"{size} rows: {_name_cause(error)}", rows=rows)
        rows += size
        largest = max(largest, apart)
        if apart > allowed:
            why = f"{size} rows were answered otherwise: by {apart:.2g}, and {allowed:g} will do"
            return Proof(used=False, why=why, rows=rows, largest=largest)
    return Proof(
        used=True,
        why=f"{rows} rows were answered alike: by {largest:.2g}, and {allowed:g} will do",
        rows=rows,
        largest=largest,
    )


def alike(one: object, other: object, *, settings: ServiceSettings) -> bool:
    return difference(one, other) <= tolerance(settings)


def tolerance(settings: ServiceSettings) -> float:
    return settings.tolerance or TOLERANCE[settings.precision]


def buckets(most: int) -> tuple[int, ...]:
    """1, 2, 4... up to `most`, and that itself."""
    sizes = [1]
    while sizes[-1] * 2 < most:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes if most == 1 else (*sizes, most))


def spread(data: object, *, seed: int) -> object:
    """Each row of plain numbers by a factor of its own, so that rows differ; else as it came."""
    if isinstance(data, dict):
        return {name: spread(array, seed=seed) for name, array in data.items()}
    if not isinstance(data, np.ndarray) or data.dtype.kind != "f":
        return data
    factors = np.random.default_rng(seed).uniform(1 - _SPREAD, 1 + _SPREAD, len(data))
    return (data * factors.reshape(-1, *[1] * (data.ndim - 1))).astype(data.dtype)


def difference(one: object, other: object) -> float:
    """The largest of all numbers' differences, over the largest number; infinite for others.

    Each column, or key of a row's object, is held to its own largest number.
    """
    pairs: dict[Path, list[tuple[Any, Any]]] = {}
    if not _pair_leaves(one, other, (), pairs):
        return np.inf
    apart = 0.0
    for found in pairs.values():
        left, right = (np.concatenate([np.ravel(pair[at]) for pair in found]) for at in (0, 1))
        apart = max(apart, _measure_distance(left, right))
    return apart


def _pair_leaves(
    one: Any, other: Any, path: Path, pairs: dict[Path, list[tuple[object, object]]]
) -> bool:
    """Collects the leaves of both by the keys that lead to them; False where the forms differ."""
    if hasattr(one, "iloc"):
        one, other = one.to_dict(orient="list"), other.to_dict(orient="list")
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(
                _pair_leaves(value, other[key], (*path, key), pairs) for key, value in one.items()
            )
        )
    if isinstance(one, list) and any(isinstance(each, (dict, list, np.ndarray)) for each in one):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(_pair_leaves(a, b, path, pairs) for a, b in zip(one, other))
        )
    left, right = np.asarray(one), np.asarray(other)
    pairs.setdefault(path, []).append((left, right))
    return left.shape == right.shape and left.dtype.kind == right.dtype.kind


def _measure_distance(left: Any, right: Any) -> float:
    if left.dtype.kind != "f":
        return 0.0 if np.array_equal(left, right) else np.inf
    unlike = ~((left == right) | (np.isnan(left) & np.isnan(right)))
    if not unlike.any():
        return 0.0
    apart = float(np.abs(left - right)[unlike].max())
    scale = float(np.abs(left[np.isfinite(left)]).max(initial=0.0))
    return apart / scale if np.isfinite(apart) and scale else np.inf


def _name_cause(error: ScoringError) -> str:
    """Return the first line of what the module raised."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0][:300]}"
