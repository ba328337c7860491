"""What a model of the zoo is, and the data that most of them learn."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import pandas as pd

SEED = 20260401
ROWS = 1000


@dataclasses.dataclass
class Case:
    """A model as its author would log it, and requests that its example tells nothing of."""

    model: Any
    example: Any = None
    fresh: Any = None
    beyond: List[Any] = dataclasses.field(default_factory=list)
    flavor: str = "sklearn"
    serialization: Optional[str] = "cloudpickle"
    options: Dict[str, Any] = dataclasses.field(default_factory=dict)
    signature: Any = None
    requirements: Optional[List[str]] = None
    script: Optional[str] = None
    is_chance: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
    name: str
    environment: str
    about: str
    make: Callable[[], Case]


ENTRIES: Dict[str, Entry] = {}


def zoo(environment: str, about: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Register a model under its function's name."""

    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        ENTRIES[make.__name__] = Entry(make.__name__, environment, about, make)
        return make

    return register


def frame(rows: int, seed: int = SEED) -> pd.DataFrame:
    """Make customers: numbers with gaps, whole numbers, categories and text."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "age": rng.normal(44, 13, rows).round(1),
            "income": rng.lognormal(10, 0.6, rows).round(2),
            "visits": rng.integers(0, 40, rows),
            "city": rng.choice(["Oslo", "Bergen", "São Paulo", "東京"], rows),
            "plan": rng.choice(["basic", "plus", "pro"], rows),
        }
    )
    return data


def gaps(data: pd.DataFrame, *columns: str, share: float = 0.1) -> pd.DataFrame:
    """Leave out a share of the values of float columns."""
    data = data.copy()
    rng = np.random.default_rng(SEED + 1)
    for column in columns:
        data.loc[rng.random(len(data)) < share, column] = np.nan
    return data


def label(data: pd.DataFrame) -> np.ndarray:
    """Tell who leaves, by a rule with a bend that a tree and a line both learn in part."""
    score = data["age"].fillna(40) / 50 + data["visits"] / 30 - np.log(data["income"]) / 12
    return np.asarray(score > score.median()).astype(int)


def table(data: pd.DataFrame, **params: Any) -> Dict[str, Any]:
    """Write rows as a request in MLflow's `dataframe_split`."""
    text = data.to_json(orient="split", index=False, date_format="iso", force_ascii=False)
    request = {"dataframe_split": json.loads(text)}
    return dict(request, params=params) if params else request
