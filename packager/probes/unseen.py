"""Values that no trace and no example led to: extremes, gaps and words that were never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packager.probes.values import Values

ROWS: Final = (1, 2, 1000)
_MOST: Final = 1e12
_WIDEST: Final = 1.7e308
_GAP: Final = 0.3
_GAPPED: Final = frozenset({"float", "double"})
"""Types that MLflow hands on as NaN where a value is missing, required or not."""


@dataclass(frozen=True, slots=True)
class Extremes(Values):
    """Each value at an end of its range, beyond it, or a word that the example does not have."""

    def draw_typed(self, spec: Mapping[str, object], seen: Sequence[object] = ()) -> object:
        if spec.get("type") == "string":
            return f"never seen {self.rng.randrange(1000)} \N{SNOWMAN}"
        return Values.draw_typed(self, spec, seen)

    def real(self, seen: Sequence[float]) -> float:
        low, high = (min(seen), max(seen)) if seen else (-1.0, 1.0)
        spread = high - low or 1.0
        ends = (low, high, 0.0, -0.0, low - 10 * spread, high + 10 * spread, -_MOST, _MOST, 1e-300)
        return self.rng.choice(ends)

    def whole(self, seen: Sequence[float], limits: tuple[int, int]) -> int:
        ends: tuple[int, ...] = (int(min(seen)), int(max(seen))) if seen else ()
        return self.rng.choice((*limits, 0, *ends))


@dataclass(frozen=True, slots=True)
class Widest(Values):
    """Numbers at the ends of their type: most models refuse some of them."""

    def real(self, seen: Sequence[float]) -> float:
        return self.rng.choice((-_WIDEST, _WIDEST, *seen))


@dataclass(frozen=True, slots=True)
class Gaps(Values):
    """Values as the example has them, and nothing where the signature lets a value be missing."""

    def column(self, spec: Mapping[str, object], name: str) -> object:
        may_miss = not spec.get("required", True) or spec.get("type") in _GAPPED
        if may_miss and self.rng.random() < _GAP:
            return None
        return Values.column(self, spec, name)
