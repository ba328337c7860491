"""Values for a column, tensor or parameter: the example's own, between, and a little beyond."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from packager.types import Json

_BEYOND: Final = 0.1
"""How far past the example's range, as a share of it."""
_INTEGERS: Final = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**53), 2**53)}
_DTYPES: Final = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**53), 2**53),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**53),
}
_WORDS: Final = ("", "a", "b", "red", "Zürich", "two words", "0")
_LONGEST: Final = 4
_AS_SEEN: Final = 0.8
"""How many nested values keep the example's structure."""


@dataclass(frozen=True, slots=True)
class Values:
    """A stream of values; the same `rng` state and example give the same values."""

    rng: random.Random
    examples: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """Values that the saved example has, by column."""

    def column(self, spec: Mapping[str, object], name: str) -> object:
        """One cell of a column of the signature."""
        seen = [value for value in self.examples.get(name, ()) if value is not None]
        has_null = len(seen) < len(self.examples.get(name, ()))
        if has_null and self.rng.random() < 0.1:
            return None
        return self.draw_typed(spec, seen)

    def draw_typed(self, spec: Mapping[str, object], seen: Sequence[object] = ()) -> object:
        """A value of the type that an MLmodel's spec names.

        https://mlflow.org/docs/latest/ml/model/signatures/#signature-components, as of 3.17
        """
        kind = str(spec.get("type", "any"))
        if kind in {"double", "float"}:
            return self.real(_numbers(seen))
        if kind in _INTEGERS:
            return self.whole(_numbers(seen), _INTEGERS[kind])
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "string":
            return self.rng.choice([str(value) for value in seen] or list(_WORDS))
        if kind == "binary":
            return base64.b64encode(self.rng.randbytes(self.rng.randrange(1, 12))).decode("ascii")
        if kind == "datetime":
            return self._make_moment(seen)
        if seen and self.rng.random() < _AS_SEEN:
            return self._reword_prose(self.rng.choice(list(seen)))
        return self._make_nested(kind, spec)

    def _reword_prose(self, value: object) -> object:
        """The same structure; what reads as prose has some of its words, in another order."""
        if isinstance(value, list):
            return [self._reword_prose(inner) for inner in value]
        if isinstance(value, dict):
            return {name: self._reword_prose(inner) for name, inner in value.items()}
        if isinstance(value, str) and " " in value:
            words = value.split()
            return " ".join(self.rng.choices(words, k=self.rng.randint(1, 2 * len(words))))
        return value

    def _make_nested(self, kind: str, spec: Mapping[str, Json]) -> object:
        if kind == "array":
            length = self.rng.randint(1, _LONGEST)
            return [self.draw_typed(spec.get("items", {})) for _ in range(length)]
        if kind == "object":
            properties: Mapping[str, Mapping[str, Json]] = spec.get("properties", {})
            return {
                name: self.draw_typed(inner)
                for name, inner in properties.items()
                if inner.get("required", True) or self.rng.random() < 0.5
            }
        if kind == "map":
            return {word: self.draw_typed(spec.get("values", {})) for word in ("a", "b")}
        return self.rng.choice(_WORDS)

    def tensor(self, dtype: str, shape: Sequence[int], seen: Sequence[object]) -> object:
        """Nested lists of this shape, every size of it given; a scalar for an empty shape."""
        if not shape:
            return self._make_element(dtype, seen)
        return [self.tensor(dtype, shape[1:], seen) for _ in range(shape[0])]

    def _make_element(self, dtype: str, seen: Sequence[object]) -> object:
        if dtype.startswith("float"):
            return self.real(_numbers(seen))
        if dtype in _DTYPES:
            return self.whole(_numbers(seen), _DTYPES[dtype])
        if dtype == "bool":
            return self.rng.random() < 0.5
        return self.rng.choice([str(value) for value in seen] or list(_WORDS))

    def real(self, seen: Sequence[float]) -> float:
        if not seen:
            return self.rng.gauss(0.0, 1.0) * 10.0 ** self.rng.randint(-1, 2)
        if self.rng.random() < 0.3:
            return float(self.rng.choice(seen))
        low, high = min(seen), max(seen)
        spare = (high - low or abs(high) or 1.0) * _BEYOND
        return self.rng.uniform(low - spare, high + spare)

    def whole(self, seen: Sequence[float], limits: tuple[int, int]) -> int:
        low, high = (min(seen), max(seen)) if seen else (0.0, 20.0)
        spare = max(1, int((high - low) * _BEYOND)) if seen else 0
        least = max(limits[0], int(low) - spare if low < 0 or spare < low else min(int(low), 0))
        return self.rng.randint(least, max(least, min(limits[1], int(high) + spare)))

    def _make_moment(self, seen: Sequence[object]) -> str:
        moments = [value for value in seen if isinstance(value, str)]
        try:
            start = datetime.fromisoformat(self.rng.choice(moments)) if moments else None
        except ValueError:
            return str(self.rng.choice(moments))
        start = start or datetime(2024, 2, 28, 23, 59, 58)  # noqa: DTZ001 - MLflow's are naive
        return (start + timedelta(seconds=self.rng.randint(-(10**7), 10**7))).isoformat()


def parameter(spec: Mapping[str, object], rng: random.Random) -> object:
    """A value beside the default, of its type; the default where there is no telling."""
    default, kind = spec.get("default"), str(spec.get("type", ""))
    if isinstance(default, bool):
        return not default
    if isinstance(default, int) and kind in {"integer", "long"}:
        return default + rng.randint(0, 2)
    if isinstance(default, float):
        return default * rng.uniform(0.5, 1.5)
    return default


def flatten_lists(value: object) -> Iterator[object]:
    """The leaves of nested lists."""
    if isinstance(value, list):
        for inner in value:
            yield from flatten_lists(inner)
    else:
        yield value


def _numbers(seen: Sequence[object]) -> list[float]:
    """Those that are finite numbers, or text of one, as a CSV example has it."""
    found = []
    for value in seen:
        if isinstance(value, (int, float, str)):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                continue
            if math.isfinite(number):
                found.append(number)
    return found
