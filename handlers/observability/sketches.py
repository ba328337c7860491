"""Sketches of columns: what a build remembers of a baseline, and how far other values are from it.

A column's population stability index is the sum over bins of `(seen - expected) * ln(seen /
expected)`: below 0.1 the same, above 0.2 another distribution, by the usual rule (N. Siddiqi,
Credit Risk Scorecards, 2006). Bins hold equal shares of the baseline; their number grows with its
rows, so that its own noise stays small. Values themselves are in no sketch: categories are hashed.
"""

from __future__ import annotations

import json
import math
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from handlers.scoring.schema import np
from handlers.values import dataclass, zip_equal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

FILENAME = "drift.json"
LEAST_BASELINE = 100
"""Rows, below which a baseline says nothing."""
_CATEGORIES, _DISTINCT = 20, 1000
"""Categories with a bin of their own; values that are remembered at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """One column of the baseline."""

    name: str
    shares: tuple[float, ...]
    """Of the values that are not missing, by bin; empty where bins say nothing."""
    edges: tuple[float, ...] = ()
    """Between the bins of a column of numbers."""
    low: float | None = None
    high: float | None = None
    categories: tuple[int, ...] | None = None
    """Hashes with a bin of their own; one more bin is for all others."""
    known: tuple[int, ...] = ()
    """Hashes of all values; empty where there were too many."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One column at run time; None is for what its baseline cannot tell."""

    psi: float | None
    missing: float
    unseen: float | None = None
    outside: float | None = None


def bins(rows: int) -> int:
    return int(min(10, max(3, rows // 50 + 1)))


def sketch(name: str, values: Array) -> Sketch:
    """Sketch one column's values, one-dimensional, of numbers, times, truths or text."""
    numbers = _read_numbers(values)
    if numbers is None:
        return _of_words(name, _hash_values(values))
    found = numbers[~np.isnan(numbers)]
    if not len(found):
        return Sketch(name=name, shares=())
    count = bins(len(found))
    # values that are there, as what lies between two infinities is no number
    inner = np.sort(found)[np.arange(1, count) * len(found) // count]
    # a bin that repeated values leave empty would count as one that was never expected
    edges = np.unique(inner[(inner > found.min()) & (inner <= found.max())])
    counts = np.bincount(np.searchsorted(edges, found, side="right"), minlength=len(edges) + 1)
    return Sketch(
        name=name,
        shares=tuple((counts / len(found)).tolist()),
        edges=tuple(edges.tolist()),
        low=float(found.min()),
        high=float(found.max()),
    )


def _of_words(name: str, hashes: Array) -> Sketch:
    found, counts = np.unique(hashes[hashes >= 0], return_counts=True)
    if not 0 < len(found) <= _DISTINCT:
        return Sketch(name=name, shares=(), categories=())
    total = int(counts.sum())
    kept = np.argsort(-counts, kind="stable")[: min(_CATEGORIES, 3 * bins(total))]
    shares = counts[kept] / total
    return Sketch(
        name=name,
        shares=(*shares.tolist(), max(0.0, 1.0 - float(shares.sum()))),
        categories=tuple(found[kept].tolist()),
        known=tuple(found.tolist()),
    )


def compare(base: Sketch, values: Array) -> Moved:
    """Compare a column's values with its baseline; `values` are at least one."""
    if base.categories is not None:
        return _compare_words(base, _hash_values(values).tolist())
    numbers = _read_numbers(values)
    # text where there were numbers is missing
    found = [] if numbers is None else [v for v in numbers.tolist() if not math.isnan(v)]
    missing = 1 - len(found) / len(values)
    if not found or base.low is None or base.high is None:
        return Moved(None, missing)
    counts = [0] * max(len(base.shares), len(base.edges) + 1)
    for value in found:
        counts[bisect_right(base.edges, value)] += 1
    outside = sum(not base.low <= value <= base.high for value in found) / len(found)
    return Moved(_measure_psi(base.shares, counts), missing, outside=outside)


def _compare_words(base: Sketch, hashes: Sequence[int]) -> Moved:
    found = Counter(each for each in hashes if each >= 0)
    total = sum(found.values())
    missing = 1 - total / len(hashes)
    if not total or not base.shares:
        return Moved(None, missing)
    counts = [found[each] for each in base.categories or ()]
    counts.append(total - sum(counts))
    known = frozenset(base.known)
    unseen = sum(count for each, count in found.items() if each not in known) / total
    return Moved(_measure_psi(base.shares, counts), missing, unseen=unseen)


def _measure_psi(expected: Sequence[float], counts: Sequence[int]) -> float | None:
    if len(expected) < 2:
        return None
    # half a row a bin, so that an empty one is no infinity
    total = sum(counts) + 0.5 * len(counts)
    base = [each + 0.5 / total for each in expected]
    whole = math.fsum(base)
    pairs = (((n + 0.5) / total, each / whole) for n, each in zip_equal(counts, base))
    return math.fsum((seen - share) * math.log(seen / share) for seen, share in pairs)


def _read_numbers(values: Array) -> Array | None:
    """As doubles, NaN for what is missing; None for text."""
    if values.dtype.kind == "M":
        times = values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(values), np.nan, times)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype == object:
        try:
            if any(isinstance(value, (str, bytes)) for value in values):
                return None
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        except (TypeError, ValueError):
            return None
    return None


def _hash_values(values: Array) -> Array:
    """Hash each value's text; -1 for what is missing."""
    return np.array([-1 if _absent(v) else zlib.crc32(_text(v)) for v in values], dtype=np.int64)


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  NaN


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Baseline that a build writes into the function's folder."""

    source: str
    """What it is made of, in words."""
    rows: int
    inputs: tuple[Sketch, ...]
    predictions: tuple[Sketch, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Baseline:
        values = json.loads(text)
        inputs, predictions = (
            tuple(Sketch(**_read_tuples(each)) for each in values[part])
            for part in ("inputs", "predictions")
        )
        return cls(
            source=values["source"],
            rows=values["rows"],
            inputs=inputs,
            predictions=predictions,
        )


def _read_tuples(values: dict[str, object]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
