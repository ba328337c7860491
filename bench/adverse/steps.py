"""Steps before an estimator, with settings that few choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from sklearn import (
    cluster,
    compose,
    decomposition,
    feature_selection,
    impute,
    manifold,
    pipeline,
    preprocessing,
    random_projection,
)

from bench.adverse.tables import BOOLEAN, NUMBERS, Columns, Draw

Step: TypeAlias = Any
"""A transformer, or "passthrough" or "drop"."""
Maker: TypeAlias = Callable[[Draw], Step]
_CURVES: Final = (
    np.log1p, np.sqrt, np.abs, np.cbrt, np.exp, np.expm1, np.tanh, np.square, np.sign, np.floor,
    np.negative, np.arctan,
)  # fmt: skip
_SCALERS: Final[Sequence[Maker]] = (
    lambda draw: preprocessing.StandardScaler(
        with_mean=draw.one(True, False), with_std=draw.one(True, True, False)
    ),
    lambda draw: preprocessing.MinMaxScaler(
        feature_range=draw.one((0, 1), (-1, 1), (3, 7)), clip=draw.one(True, False)
    ),
    lambda _draw: preprocessing.MaxAbsScaler(),
    lambda draw: preprocessing.RobustScaler(
        with_centering=draw.one(True, False),
        quantile_range=draw.one((25.0, 75.0), (5.0, 95.0)),
        unit_variance=draw.one(True, False),
    ),
    lambda draw: preprocessing.PowerTransformer(standardize=draw.one(True, False)),
    lambda draw: preprocessing.QuantileTransformer(
        n_quantiles=draw.one(5, 17, 50), output_distribution=draw.one("uniform", "normal")
    ),
    lambda draw: preprocessing.FunctionTransformer(draw.one(*_CURVES)),
    lambda _draw: preprocessing.FunctionTransformer(),
)
_OF_WHOLE_TABLES: Final[Sequence[Maker]] = (
    lambda draw: preprocessing.KBinsDiscretizer(
        n_bins=draw.one(2, 3, 6),
        encode=draw.one("ordinal", "onehot", "onehot-dense"),
        strategy=draw.one("uniform", "quantile", "kmeans"),
        dtype=draw.one(None, None, np.float32),
    ),
    lambda draw: preprocessing.PolynomialFeatures(
        draw.one(2, 3, (2, 2)),
        interaction_only=draw.one(True, False),
        include_bias=draw.one(True, False),
        order=draw.one("C", "F"),
    ),
    lambda draw: preprocessing.SplineTransformer(
        n_knots=draw.one(3, 5),
        degree=draw.one(1, 2, 3),
        knots=draw.one("uniform", "quantile"),
        extrapolation=draw.one("constant", "linear", "continue", "periodic"),
        include_bias=draw.one(True, False),
    ),
    lambda draw: preprocessing.Binarizer(threshold=draw.one(0.0, 1.5)),
    lambda draw: preprocessing.Normalizer(norm=draw.one("l1", "l2", "max")),
    lambda draw: decomposition.PCA(draw.one(1, 2, None), whiten=draw.one(True, False)),
    lambda _draw: decomposition.TruncatedSVD(1),
    lambda draw: preprocessing.OneHotEncoder(
        handle_unknown="ignore", sparse_output=draw.one(True, False)
    ),
    lambda draw: preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=draw.one(-1, np.nan, -5)
    ),
    lambda _draw: feature_selection.VarianceThreshold(),
    lambda _draw: random_projection.GaussianRandomProjection(2, random_state=0),
    lambda _draw: cluster.KMeans(3, n_init=1, random_state=0),
    lambda draw: decomposition.SparsePCA(draw.one(1, 2), max_iter=20, random_state=0),
    lambda draw: pipeline.make_pipeline(
        preprocessing.MinMaxScaler(clip=draw.one(True, False)),
        decomposition.LatentDirichletAllocation(draw.one(2, 4), max_iter=2, random_state=0),
    ),
    lambda draw: manifold.LocallyLinearEmbedding(
        n_neighbors=draw.one(4, 9),
        n_components=draw.one(1, 2),
        neighbors_algorithm=draw.one("auto", "brute", "kd_tree"),
        eigen_solver="dense",
    ),
)
"""Of tables in which nothing is missing."""
_IMPUTERS: Final[Sequence[Maker]] = (
    lambda draw: impute.SimpleImputer(
        strategy=draw.one("mean", "median", "most_frequent"),
        add_indicator=draw.one(True, False),
        keep_empty_features=draw.one(True, False),
    ),
    lambda draw: impute.SimpleImputer(
        strategy="constant", fill_value=draw.one(0, -1, 2), add_indicator=draw.one(True, False)
    ),
    lambda draw: pipeline.make_union(
        impute.SimpleImputer(),
        impute.MissingIndicator(features=draw.one("all", "missing-only"), error_on_new=False),
    ),
)
_ENCODERS: Final[Sequence[Maker]] = (
    lambda draw: preprocessing.OneHotEncoder(
        handle_unknown=draw.one("ignore", "infrequent_if_exist", "error", "warn"),
        min_frequency=draw.one(None, 5, 0.1),
        max_categories=draw.one(None, 3),
        drop=draw.one(None, None, "first", "if_binary"),
        sparse_output=draw.one(True, False),
        dtype=draw.one(np.float64, np.float64, np.float32, np.int64),
    ),
    lambda draw: preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=draw.one(-1, np.nan),
        encoded_missing_value=draw.one(np.nan, -2),
        min_frequency=draw.one(None, None, 4),
    ),
    lambda _draw: preprocessing.OrdinalEncoder(),
    lambda draw: preprocessing.TargetEncoder(smooth=draw.one("auto", 2.0), random_state=0),
)
_FLAGS: Final[Sequence[Maker]] = (
    lambda _draw: "passthrough",
    lambda _draw: "drop",
    lambda _draw: preprocessing.OrdinalEncoder(),
    lambda _draw: preprocessing.OneHotEncoder(drop="if_binary"),
    lambda _draw: preprocessing.StandardScaler(),
)


def has_missing(columns: Columns) -> bool:
    return any(kind.startswith("missing") for kind in columns.values())


def draw_scaler(draw: Draw, *, missing: bool) -> Step:
    return draw.make(_SCALERS if missing else (*_SCALERS, *_OF_WHOLE_TABLES))


def draw_numeric(draw: Draw, *, missing: bool) -> Step:
    steps: list[Step] = []
    if missing and draw.chance(0.9):
        steps.append(draw.make(_IMPUTERS))
        missing = False
    steps += [draw_scaler(draw, missing=missing) for _ in range(draw.one(0, 1, 2))]
    if draw.chance(0.15):
        other = draw.one("passthrough", "drop", draw_scaler(draw, missing=missing))
        parts = [("a", draw_scaler(draw, missing=missing)), ("b", other)]
        weights = draw.one(None, {"a": 0.3})
        steps.append(pipeline.FeatureUnion(parts, transformer_weights=weights))
    return pipeline.make_pipeline(*steps) if steps else "passthrough"


def _draw_encoder(draw: Draw) -> Step:
    encoder = draw.make(_ENCODERS)
    if draw.chance(0.2):
        return pipeline.make_pipeline(impute.SimpleImputer(strategy="most_frequent"), encoder)
    if draw.chance(0.2):
        fill = impute.SimpleImputer(
            strategy="constant",
            fill_value=draw.one("", "none", "red"),
            missing_values=draw.one(None, np.nan),
        )
        return pipeline.make_pipeline(fill, encoder)
    if draw.chance(0.15):
        return pipeline.make_pipeline(encoder, preprocessing.StandardScaler(with_mean=False))
    return encoder


def draw_preparation(draw: Draw, columns: Columns) -> Step:
    numbers = [name for name, kind in columns.items() if kind in NUMBERS]
    flags = [name for name, kind in columns.items() if kind == BOOLEAN]
    texts = [name for name in columns if name not in (*numbers, *flags)]
    parts = [*_place_numbers(draw, columns, numbers), *_place_texts(draw, texts)]
    if flags and draw.chance(0.7):
        parts.append(("flags", draw.make(_FLAGS), flags))
    draw.rng.shuffle(parts)
    made = compose.ColumnTransformer(
        parts,
        remainder=draw.one("drop", "drop", "passthrough"),
        sparse_threshold=draw.one(0, 0, 0.3, 1),
        verbose_feature_names_out=draw.chance(0.7),
        transformer_weights=draw.one(None, None, None, {parts[0][0]: 2.5}) if parts else None,
    )
    if draw.chance(0.15):
        made.set_params(sparse_threshold=0)
        made.set_output(transform="pandas")
    return made


def _place_numbers(
    draw: Draw, columns: Columns, numbers: Sequence[str]
) -> list[tuple[str, Step, Any]]:
    """Columns by their names, numbers, a selector or a mask, together or apart."""
    if not numbers:
        return []
    missing = has_missing(columns)
    how = draw.one("names", "names", "apart", "selector", "positions", "mask")
    step = draw_numeric(draw, missing=missing)
    if how == "apart" and len(numbers) > 1:
        half = len(numbers) // 2
        other = draw_numeric(draw, missing=missing)
        return [("first", step, numbers[:half]), ("second", other, numbers[half:])]
    if how == "selector":
        return [("numbers", step, compose.make_column_selector(dtype_include=np.number))]
    if how == "positions":
        places = [list(columns).index(name) for name in numbers]
        again = draw_scaler(draw, missing=missing)
        return [("numbers", step, places), ("again", again, [numbers[0]])]
    if how == "mask":
        return [("numbers", step, [name in numbers for name in columns])]
    return [("numbers", step, list(numbers))]


def _place_texts(draw: Draw, texts: Sequence[str]) -> list[tuple[str, Step, Any]]:
    if not texts:
        return []
    how = draw.one("names", "names", "names", "selector", "apart")
    if how == "selector":
        chosen = compose.make_column_selector(dtype_include=[object, "string"])
        return [("texts", _draw_encoder(draw), chosen)]
    if how == "apart":
        return [(f"text {at}", _draw_encoder(draw), [name]) for at, name in enumerate(texts)]
    return [("texts", _draw_encoder(draw), list(texts))]
