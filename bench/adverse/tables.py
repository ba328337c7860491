"""Columns of values that are seldom drawn, and tables that are made to find differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

Array: TypeAlias = npt.NDArray[Any]
Columns: TypeAlias = Mapping[str, str]
"""By name the kind of its values: one of NUMBERS or TEXTS, or BOOLEAN."""
Chosen = TypeVar("Chosen")
BOOLEAN: Final = "boolean"
TYPES: Final = {
    "float64": "double",
    "float32": "float",
    "int64": "long",
    "int32": "integer",
    "bool": "boolean",
}
WORDS: Final = (
    "red", "Red", "", " red", "été", "e\u0301te\u0301", "日本", "0", "1.0", "nan", "None", "a\tb",
    "'q'\"", "x*/y", "long " * 20, "\U0001f600",
)  # fmt: skip
STRANGE: Final = (
    np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, -1e-310, 1e-45, 1.0, -1.0, 1e6, -1e6, 1e15, 1e39,
    -3.5e38, 1e154, 1e300, -1.7976931348623157e308,
)  # fmt: skip
WHOLE: Final = (0, -1, 2**31, -(2**53) - 1, 2**53 + 1, 2**62, -(2**63), 2**63 - 1)
NARROW: Final = (0, -1, 2**31 - 1, -(2**31))
UNSEEN: Final = (None, "never", "", "re", "redd", "\U0001f600", "a\0b", "x" * 5000)
FRESH: Final = 1500


class Draw:
    """Choices from one seed."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, *options: Chosen) -> Chosen:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def make(self, makers: Sequence[Callable[[Draw], Chosen]]) -> Chosen:
        return self.one(*makers)(self)


Make: TypeAlias = Callable[[np.random.Generator, int], Array]


def _miss(rng: np.random.Generator, values: Array, share: float) -> Array:
    return np.where(rng.random(len(values)) < share, np.nan, values)


def _draw_zeros(rng: np.random.Generator, rows: int) -> Array:
    zeros = np.where(rng.random(rows) < 0.5, 0.0, -0.0)
    return np.where(rng.random(rows) < 0.5, zeros, rng.normal(size=rows))


TAME: Final[Mapping[str, Make]] = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "shifted": lambda rng, rows: rng.normal(1e6, 3.0, rows),
    "zeros": _draw_zeros,
    "wholes": lambda rng, rows: rng.integers(-3, 9, rows).astype(float),
    "rounded": lambda rng, rows: np.round(rng.gamma(2, 3, rows), 2),
    "shares": lambda rng, rows: rng.beta(0.5, 0.5, rows),
    "positive": lambda rng, rows: rng.gamma(1, 2, rows),
    "floats": lambda rng, rows: rng.normal(3, 2, rows).astype(np.float32),
    "whole numbers": lambda rng, rows: rng.integers(-20, 30, rows),
    "codes": lambda rng, rows: rng.integers(0, 6, rows),
    "narrow whole numbers": lambda rng, rows: rng.integers(0, 100, rows).astype(np.int32),
    "missing": lambda rng, rows: _miss(rng, rng.gamma(2, 2, rows), 0.2),
    "missing wholes": lambda rng, rows: _miss(rng, rng.integers(0, 5, rows), 0.15),
    "missing floats": lambda rng, rows: _miss(rng, rng.gamma(2, 2, rows), 0.1).astype(np.float32),
}
WILD: Final[Mapping[str, Make]] = {
    "tiny": lambda rng, rows: rng.normal(size=rows) * 1e-300,
    "huge": lambda rng, rows: rng.normal(size=rows) * 1e150,
    "far apart": lambda rng, rows: rng.lognormal(0, 8, rows),
    "subnormal": lambda rng, rows: rng.integers(0, 50, rows) * 5e-324,
    "constant": lambda _rng, rows: np.full(rows, -7.25),
    "huge floats": lambda rng, rows: (rng.normal(size=rows) * 1e30).astype(np.float32),
    "beyond doubles": lambda rng, rows: 2**53 + rng.integers(-4, 5, rows),
    "all whole numbers": lambda rng, rows: rng.integers(-(2**62), 2**62, rows),
}
NUMBERS: Final[Mapping[str, Make]] = {**TAME, **WILD}
TEXTS: Final = ("text", "text without some", "text with NaN", "many words")


def draw_columns(draw: Draw) -> dict[str, str]:
    kinds = [*TAME] if draw.chance(0.6) else [*NUMBERS]
    drawn = [draw.one(*kinds) for _ in range(int(draw.rng.integers(1, 6)))]
    drawn += [draw.one("text", *TEXTS) for _ in range(draw.one(0, 0, 1, 1, 2))]
    drawn += [BOOLEAN] * draw.one(0, 0, 1, 2)
    draw.rng.shuffle(drawn)
    return {f"c {at}.{'é' if at % 2 else ''}": kind for at, kind in enumerate(drawn)}


def draw_table(columns: Columns, rows: int, *seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: _draw_column(rng, kind, rows) for name, kind in columns.items()})


def _draw_column(rng: np.random.Generator, kind: str, rows: int) -> Array:
    if kind == BOOLEAN:
        return rng.random(rows) > 0.3
    if kind in NUMBERS:
        return NUMBERS[kind](rng, rows)
    words = np.array(WORDS if kind == "many words" else WORDS[:6], object)
    drawn = words[rng.integers(0, len(words), rows)]
    if kind in ("text without some", "text with NaN"):
        drawn[rng.random(rows) < 0.15] = None if kind == "text without some" else np.nan
    return drawn


def is_text(column: pd.Series) -> bool:
    return column.dtype.kind not in "fiub"


def read_feeds(table: pd.DataFrame) -> dict[str, Array]:
    """Columns as a loader hands them over: words, and None for what is none."""
    found: dict[str, Array] = {}
    for name, column in table.items():
        if is_text(column):
            words = [each if isinstance(each, str) else None for each in column.to_numpy(object)]
            found[str(name)] = np.array([*words, None], object)[:-1]
        else:
            found[str(name)] = column.to_numpy()
    return found


def list_tables(
    columns: Columns, table: pd.DataFrame, seed: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Tables that no proof has seen, each with its name."""
    rng = np.random.default_rng([seed, 5])
    yield "fresh rows", draw_table(columns, FRESH, seed, 1)
    yield "rows of training", table
    yield "beside values of training", _change(table, rng, _step)
    yield "halfway between values of training", _change(table, rng, _halve)
    yield (
        "values of other rows",
        table.apply(lambda each: each.to_numpy()[rng.permutation(len(table))]),
    )
    yield from _list_single_rows(table)
    yield "words that are missing", _drop_words(table, rng)
    yield "two rows", table.iloc[:2]
    yield "no rows", table.iloc[:0]


def _change(
    table: pd.DataFrame,
    rng: np.random.Generator,
    change: Callable[[np.random.Generator, Array], Array],
) -> pd.DataFrame:
    """Columns of floats changed; the others as they are."""
    found = table.copy()
    for name in table:
        if table[name].dtype.kind == "f":
            found[name] = change(rng, table[name].to_numpy())
    return found


def _step(rng: np.random.Generator, values: Array) -> Array:
    ends = np.where(rng.random(len(values)) < 0.5, np.inf, -np.inf).astype(values.dtype)
    return np.asarray(np.nextafter(values, ends))


def _halve(rng: np.random.Generator, values: Array) -> Array:
    known = np.unique(values[~np.isnan(values)])
    middles = known[:-1] / 2 + known[1:] / 2 if len(known) > 1 else known
    if not len(middles):
        return values
    return middles[rng.integers(0, len(middles), len(values))].astype(values.dtype)


def _list_single_rows(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for at, name in enumerate(table):
        column = table[name]
        values: tuple[object, ...] = UNSEEN
        if not is_text(column):
            by_kind = {"f": STRANGE, "b": (True, False), "i": WHOLE}
            values = NARROW if column.dtype == np.int32 else by_kind[column.dtype.kind]
        for value in values:
            row = table.iloc[at : at + 1].copy()
            with np.errstate(all="ignore"):
                kind: Any = object if is_text(column) else column.dtype
                row[name] = pd.Series(np.array([value], object), row.index).astype(kind)
            yield f"{name} is {value!r:.40}", row


def _drop_words(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    found = table.copy()
    for name in table:
        if is_text(table[name]):
            words = table[name].to_numpy(object).copy()
            words[rng.random(len(words)) < 0.3] = None
            found[name] = pd.Series(words, index=table.index, dtype=object)
    return found
