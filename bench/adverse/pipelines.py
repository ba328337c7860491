"""A fitted pipeline of a seed: the same seed, the same pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xgboost
from sklearn import feature_selection, model_selection, pipeline

from bench.adverse.estimators import (
    GROUPINGS,
    SEVERAL_LABELS,
    SEVERAL_NUMBERS,
    Estimator,
    draw_classifier,
    draw_regressor,
)
from bench.adverse.steps import draw_numeric, draw_preparation, draw_scaler, has_missing
from bench.adverse.tables import NUMBERS, Array, Columns, Draw, draw_columns, draw_table

_STREAM: Final = 78
_LABELS: Final[Mapping[int, tuple[Array, ...]]] = {
    count: (
        np.arange(count),
        np.array([-5, 0, 3, 70][:count]),
        np.array(["no", "yes", "été", ""][:count], object),
        np.array(["b", "a", "C", "d"][:count]),
        np.array([0.5, 1.5, 2.5, -1.0][:count]),
        np.array([False, True]) if count == 2 else np.arange(count) + 1,
    )
    for count in (2, 3, 4)
}


@dataclass(frozen=True)
class Drawn:
    model: Estimator
    columns: Columns
    table: pd.DataFrame
    method: str


def draw_pipeline(seed: int) -> Drawn:
    """Raises whatever scikit-learn does where it cannot fit what was drawn."""
    draw = Draw(seed, _STREAM)
    columns = draw_columns(draw)
    table = draw_table(columns, int(draw.rng.integers(60, 350)), seed, 0)
    estimator, answers = _draw_estimator(draw, table)
    model = _draw_model(draw, columns, estimator)
    weights = draw.rng.random(len(table)) + 0.1 if draw.chance(0.15) else None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        _fit(model, table, answers, weights)
        shares = hasattr(model, "predict_proba") and answers.ndim == 1 and draw.chance(0.5)
    return Drawn(model, columns, table, "predict_proba" if shares else "predict")


def _draw_estimator(draw: Draw, table: pd.DataFrame) -> tuple[Estimator, Array]:
    """An estimator, and answers on which all columns have a say."""
    score = draw.rng.normal(0, 0.4, len(table))
    for name in table:
        score = score + _score(table[name])
    kind = draw.one("number", "number", "label", "label", "numbers", "labels", "group")
    if kind == "label":
        return _draw_labelled(draw, score)
    if kind == "numbers":
        noise = draw.rng.normal(size=len(score))
        return draw.make(SEVERAL_NUMBERS), np.stack([score, score**2 - 1, noise - score], axis=1)
    if kind == "labels":
        return draw.make(SEVERAL_LABELS), np.stack([score > 0, score > 0.7], axis=1).astype(int)
    if kind == "group":
        return draw.make(GROUPINGS), score
    answers = score * draw.one(1.0, 1e-3, 1e4) + draw.one(0.0, 10.0)
    return draw_regressor(draw), np.round(answers).astype(int) if draw.chance(0.1) else answers


def _score(column: pd.Series) -> Array:
    numeric = column.dtype.kind in "fiub"
    values = column.to_numpy(np.float64) if numeric else pd.factorize(column)[0].astype(float)
    values = np.nan_to_num(values)
    spread = float(np.std(values))
    if not (np.isfinite(spread) and spread > 0):
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / spread)


def _draw_labelled(draw: Draw, score: Array) -> tuple[Estimator, Array]:
    count = draw.one(2, 2, 3, 4)
    places = np.digitize(score, np.quantile(score, np.linspace(0, 1, count + 1)[1:-1]))
    if draw.chance(0.1):
        objective = draw.one(None, "binary:hinge") if count == 2 else None
        return (
            xgboost.XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1, objective=objective),
            places,
        )
    return draw_classifier(draw), draw.one(*_LABELS[count])[places]


def _draw_model(draw: Draw, columns: Columns, estimator: Estimator) -> Estimator:
    """The estimator alone, behind steps over all columns, or behind a column transformer."""
    missing = has_missing(columns)
    if all(kind in NUMBERS for kind in columns.values()) and draw.chance(0.3):
        if draw.chance(0.4):
            return estimator
        return pipeline.make_pipeline(draw_numeric(draw, missing=missing), estimator)
    middle = draw.one(
        [], [], [], [draw_scaler(draw, missing=missing)], [feature_selection.VarianceThreshold()]
    )
    preparation = draw_preparation(draw, columns)
    if draw.chance(0.08):
        parts = [("one", preparation), ("other", draw_preparation(draw, columns))]
        preparation = pipeline.FeatureUnion(parts)
    model = pipeline.make_pipeline(preparation, *middle, estimator)
    return model_selection.GridSearchCV(model, {}, cv=2) if draw.chance(0.06) else model


def _fit(model: Estimator, table: pd.DataFrame, answers: Array, weights: Array | None) -> None:
    """With the weights of the rows where the estimator takes them."""
    if weights is not None:
        steps: Any = getattr(model, "steps", None)
        name = f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
        try:
            model.fit(table, answers, **{name: weights})
        except (TypeError, ValueError):
            pass
        else:
            return
    model.fit(table, answers)
