"""Random pipelines over tables as people register them: the same seed, the same pipeline."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import sklearn
from sklearn import (
    calibration,
    compose,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    impute,
    linear_model,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)

VERSION: Final = tuple(int(each) for each in sklearn.__version__.split(".")[:2])
if VERSION < (1, 0):
    importlib.import_module("sklearn.experimental.enable_hist_gradient_boosting")
ROWS: Final = 300
NAMES: Final = (
    "num 0", "n.1", "größe", "数量", 'q"uote', "a'b", "plain", "UPPER case", "x*/y", "back\\slash",
    "tab\tname", "price (EUR)", "ratio %", "_", "1st", "имя", "a,b", "x[0]",
)  # fmt: skip
WORDS: Final = ("a", "", "été", "red", "long word", '"quoted" */', "日本", " a", "A", "0")
NUMERIC: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "wide": lambda rng, rows: rng.normal(1000.0, 250.0, rows),
    "skewed": lambda rng, rows: rng.gamma(1.5, 3.0, rows),
    "whole": lambda rng, rows: rng.integers(0, 40, rows),
    "float32": lambda rng, rows: rng.gamma(2.0, 2.0, rows).astype(np.float32),
    "constant": lambda _rng, rows: np.full(rows, 3.5),
    "rounded": lambda rng, rows: np.round(rng.normal(5.0, 2.0, rows), 1),
    "missing": lambda rng, rows: np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
}
KINDS: Final = {"float64": "double", "float32": "float", "int64": "long", "bool": "boolean"}


@dataclass(frozen=True)
class Drawn:
    """A fitted pipeline, what it is called with, and how to draw more rows for it."""

    seed: int
    model: Any
    columns: Mapping[str, str]
    """By name the kind of values, of `NUMERIC` or "text" or "boolean"."""
    table: pd.DataFrame
    methods: tuple[str, ...]
    steps: str

    def draw(self, rows: int, seed: int) -> pd.DataFrame:
        return draw_table(self.columns, rows, np.random.default_rng(seed))


def draw_table(columns: Mapping[str, str], rows: int, rng: np.random.Generator) -> pd.DataFrame:
    words = np.array(WORDS, dtype=object)
    made: dict[str, Any] = {}
    for name, kind in columns.items():
        if kind == "text":
            made[name] = pd.Series(words[rng.integers(0, 6, rows)], dtype=object)
        elif kind == "boolean":
            made[name] = rng.random(rows) > 0.4
        else:
            made[name] = NUMERIC[kind](rng, rows)
    return pd.DataFrame(made)


def draw_columns(rng: np.random.Generator) -> dict[str, str]:
    kinds = [str(each) for each in rng.choice(list(NUMERIC), int(rng.integers(2, 6)))]
    kinds += ["text"] * int(rng.integers(0, 3)) + ["boolean"] * int(rng.integers(0, 2))
    names = [str(each) for each in rng.choice(NAMES, len(kinds), replace=False)]
    return dict(zip(names, kinds))  # noqa: B905 - old Pythons too


def draw_pipeline(seed: int) -> Drawn:
    """Raises ValueError where scikit-learn itself cannot fit what was drawn."""
    rng = np.random.default_rng(seed)
    columns = draw_columns(rng)
    table = draw_table(columns, ROWS, rng)
    # numbers and words both have a say in what is answered
    score = sum(_score(table[name]) for name in table.columns) + rng.normal(0, 0.3, ROWS)
    classifies = bool(rng.random() < 0.5)
    answers, estimator, what = (draw_classifier if classifies else draw_regressor)(rng, score)
    model = pipeline.Pipeline(
        [("prepare", draw_preparation(rng, columns)), *draw_middle(rng), ("model", estimator)]
    )
    if rng.random() < 0.1:
        model = model_selection.GridSearchCV(model, {"model": [estimator]}, cv=2)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model.fit(table, answers)
    methods: tuple[str, ...] = ("predict",)
    if classifies and hasattr(model, "predict_proba"):
        methods = ("predict", "predict_proba")
    return Drawn(seed, model, columns, table, methods, what + " <- " + _describe(model))


def _score(column: pd.Series) -> Any:
    values = pd.factorize(column)[0] if column.dtype == object else column.to_numpy(np.float64)
    values = np.nan_to_num(values)
    spread = float(np.std(values))
    return (values - np.mean(values)) / spread if spread else values * 0.0


def _describe(model: Any) -> str:
    inner = getattr(model, "best_estimator_", model)
    found: list[str] = []
    for _name, part, *_rest in inner.named_steps["prepare"].transformers_:
        steps = getattr(part, "steps", [("", part)])
        found += [type(step).__name__ for _name, step in steps if not isinstance(step, str)]
    found += [type(step).__name__ for _name, step in inner.steps[1:-1]]
    return ", ".join(found)


def draw_preparation(rng: np.random.Generator, columns: Mapping[str, str]) -> Any:
    numbers = [name for name, kind in columns.items() if kind in NUMERIC]
    missing = any(columns[name] == "missing" for name in numbers)
    parts: list[Any] = [("numbers", draw_numeric(rng, missing=missing), numbers)]
    words = [name for name, kind in columns.items() if kind == "text"]
    if words:
        parts.append(("words", draw_encoder(rng), words))
    flags = [name for name, kind in columns.items() if kind == "boolean"]
    if flags:
        parts.append(("flags", "passthrough", flags))
    # dense as most tables are asked for, and as most estimators want it
    return compose.ColumnTransformer(parts, sparse_threshold=0.0)


def draw_numeric(rng: np.random.Generator, *, missing: bool) -> Any:
    steps: list[Any] = []
    if missing or rng.random() < 0.3:
        strategy = str(rng.choice(["mean", "median", "most_frequent", "constant"]))
        indicator = bool(rng.random() < 0.25)
        steps.append(impute.SimpleImputer(strategy=strategy, add_indicator=indicator))
    makers = list(SCALERS.values())
    if rng.random() < 0.85:
        steps.append(makers[int(rng.integers(len(makers)))]())
    if rng.random() < 0.15:
        union = [("a", makers[int(rng.integers(len(makers)))]()), ("b", preprocessing.Binarizer())]
        steps.append(pipeline.FeatureUnion(union))
    return pipeline.make_pipeline(*steps) if steps else "passthrough"


def _make_splines(*given: Any, **settings: Any) -> Any:
    if VERSION < (1, 0):
        return preprocessing.PowerTransformer()
    return preprocessing.SplineTransformer(*given, **settings)


SCALERS: Final[Mapping[str, Callable[[], Any]]] = {
    "standard": preprocessing.StandardScaler,
    "range": lambda: preprocessing.MinMaxScaler(clip=True),
    "largest": preprocessing.MaxAbsScaler,
    "robust": preprocessing.RobustScaler,
    "polynomial": lambda: preprocessing.PolynomialFeatures(2),
    "interactions": lambda: preprocessing.PolynomialFeatures(3, interaction_only=True),
    "power": preprocessing.PowerTransformer,
    "quantiles": lambda: preprocessing.QuantileTransformer(n_quantiles=30),
    "normal quantiles": lambda: preprocessing.QuantileTransformer(
        n_quantiles=30, output_distribution="normal"
    ),
    "bins": lambda: preprocessing.KBinsDiscretizer(4, encode="onehot-dense"),
    "ordinal bins": lambda: preprocessing.KBinsDiscretizer(5, encode="ordinal"),
    "splines": lambda: _make_splines(4),
    "linear splines": lambda: _make_splines(5, extrapolation="linear"),
    "norm": preprocessing.Normalizer,
    "root": lambda: preprocessing.FunctionTransformer(np.cbrt),
    "square": lambda: pipeline.make_pipeline(
        preprocessing.StandardScaler(), preprocessing.FunctionTransformer(np.square)
    ),
    "components": lambda: pipeline.make_pipeline(
        preprocessing.StandardScaler(), decomposition.PCA(2)
    ),
    "few components": lambda: decomposition.TruncatedSVD(2),
}


def draw_encoder(rng: np.random.Generator) -> Any:
    numbered = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    made = [
        lambda: _make_one_hot(handle_unknown="ignore"),
        lambda: _make_one_hot(drop="first"),
        lambda: _make_one_hot(handle_unknown="ignore", min_frequency=40),
        lambda: preprocessing.OrdinalEncoder(**numbered),
        lambda: (
            preprocessing.TargetEncoder(random_state=0)
            if VERSION >= (1, 3)
            else preprocessing.OrdinalEncoder(**numbered)
        ),
    ]
    encoder = made[int(rng.integers(len(made)))]()
    if rng.random() < 0.2:
        fill = impute.SimpleImputer(strategy="most_frequent")
        return pipeline.make_pipeline(fill, encoder)
    return encoder


def _make_one_hot(**settings: Any) -> Any:
    """An encoder that answers with a dense matrix, by the name that its version has for that."""
    if VERSION < (1, 1):
        settings.pop("min_frequency", None)
    dense = "sparse_output" if VERSION >= (1, 2) else "sparse"
    return preprocessing.OneHotEncoder(**settings, **{dense: False})


def draw_middle(rng: np.random.Generator) -> Sequence[Any]:
    if rng.random() < 0.2:
        return [("select", feature_selection.VarianceThreshold())]
    if rng.random() < 0.1:
        return [("select", feature_selection.SelectKBest(k=2))]
    return []


REGRESSORS: Final[Mapping[str, Callable[[], Any]]] = {
    "Ridge": linear_model.Ridge,
    "LinearRegression": linear_model.LinearRegression,
    "Lasso": lambda: linear_model.Lasso(0.05),
    "ElasticNet": lambda: linear_model.ElasticNet(0.05),
    "BayesianRidge": linear_model.BayesianRidge,
    "HuberRegressor": linear_model.HuberRegressor,
    "TweedieRegressor": linear_model.TweedieRegressor,
    "DecisionTreeRegressor": lambda: tree.DecisionTreeRegressor(max_depth=5, random_state=0),
    "RandomForestRegressor": lambda: ensemble.RandomForestRegressor(10, random_state=0),
    "ExtraTreesRegressor": lambda: ensemble.ExtraTreesRegressor(10, random_state=0),
    "GradientBoostingRegressor": lambda: ensemble.GradientBoostingRegressor(n_estimators=15),
    "HistGradientBoostingRegressor": lambda: ensemble.HistGradientBoostingRegressor(max_iter=15),
    "SVR": svm.SVR,
    "LinearSVR": svm.LinearSVR,
    "KNeighborsRegressor": lambda: neighbors.KNeighborsRegressor(5),
    "MLPRegressor": lambda: neural_network.MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=60, random_state=0
    ),
    "BaggingRegressor": lambda: ensemble.BaggingRegressor(n_estimators=5, random_state=0),
    "AdaBoostRegressor": lambda: ensemble.AdaBoostRegressor(n_estimators=8, random_state=0),
    "VotingRegressor": lambda: ensemble.VotingRegressor(
        [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=4))]
    ),
    "StackingRegressor": lambda: ensemble.StackingRegressor(
        [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=4))]
    ),
    "TransformedTargetRegressor": lambda: compose.TransformedTargetRegressor(
        linear_model.Ridge(), transformer=preprocessing.QuantileTransformer(n_quantiles=20)
    ),
    "logarithm of the target": lambda: compose.TransformedTargetRegressor(
        linear_model.Ridge(), func=np.arctan, inverse_func=np.tan
    ),
    "XGBRegressor": lambda: _import("xgboost").XGBRegressor(n_estimators=12, n_jobs=1),
    "LGBMRegressor": lambda: _import("lightgbm").LGBMRegressor(
        n_estimators=12, n_jobs=1, verbose=-1
    ),
}
CLASSIFIERS: Final[Mapping[str, Callable[[], Any]]] = {
    "LogisticRegression": linear_model.LogisticRegression,
    "RidgeClassifier": linear_model.RidgeClassifier,
    "SGDClassifier": lambda: linear_model.SGDClassifier(
        random_state=0, loss="log_loss" if VERSION >= (1, 1) else "log"
    ),
    "DecisionTreeClassifier": lambda: tree.DecisionTreeClassifier(max_depth=5, random_state=0),
    "RandomForestClassifier": lambda: ensemble.RandomForestClassifier(10, random_state=0),
    "ExtraTreesClassifier": lambda: ensemble.ExtraTreesClassifier(10, random_state=0),
    "GradientBoostingClassifier": lambda: ensemble.GradientBoostingClassifier(n_estimators=10),
    "HistGradientBoostingClassifier": lambda: ensemble.HistGradientBoostingClassifier(max_iter=10),
    "SVC": svm.SVC,
    "SVC, probability": lambda: calibration.CalibratedClassifierCV(svm.SVC(), cv=2),
    "LinearSVC": svm.LinearSVC,
    "KNeighborsClassifier": lambda: neighbors.KNeighborsClassifier(5),
    "GaussianNB": naive_bayes.GaussianNB,
    "BernoulliNB": naive_bayes.BernoulliNB,
    "LinearDiscriminantAnalysis": discriminant_analysis.LinearDiscriminantAnalysis,
    "QuadraticDiscriminantAnalysis": lambda: discriminant_analysis.QuadraticDiscriminantAnalysis(
        reg_param=0.1
    ),
    "MLPClassifier": lambda: neural_network.MLPClassifier(
        hidden_layer_sizes=(8,), max_iter=60, random_state=0
    ),
    "BaggingClassifier": lambda: ensemble.BaggingClassifier(n_estimators=5, random_state=0),
    "AdaBoostClassifier": lambda: ensemble.AdaBoostClassifier(n_estimators=8, random_state=0),
    "VotingClassifier": lambda: ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())], voting="soft"
    ),
    "VotingClassifier, hard": lambda: ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=4))]
    ),
    "StackingClassifier": lambda: ensemble.StackingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=4))],
        cv=3,
    ),
    "CalibratedClassifierCV": lambda: calibration.CalibratedClassifierCV(
        ensemble.RandomForestClassifier(5, random_state=0), method="isotonic", cv=2
    ),
    "OneVsRestClassifier": lambda: multiclass.OneVsRestClassifier(
        linear_model.LogisticRegression()
    ),
    "XGBClassifier": lambda: _import("xgboost").XGBClassifier(n_estimators=10, n_jobs=1),
    "LGBMClassifier": lambda: _import("lightgbm").LGBMClassifier(
        n_estimators=10, n_jobs=1, verbose=-1
    ),
}


def _import(name: str) -> Any:
    return __import__(name)


def draw_regressor(rng: np.random.Generator, score: Any) -> tuple[Any, Any, str]:
    name = str(rng.choice(list(REGRESSORS)))
    return score, REGRESSORS[name](), name


def draw_classifier(rng: np.random.Generator, score: Any) -> tuple[Any, Any, str]:
    name = str(rng.choice(list(CLASSIFIERS)))
    cuts = (0.5,) if rng.random() < 0.5 else (0.3, 0.7)
    positions = np.digitize(score, np.quantile(score, cuts))
    words = bool(rng.random() < 0.4) and not name.startswith("XGB")
    labels = np.array(["low", "middle", "größer"], dtype=object)
    return labels[positions] if words else positions, CLASSIFIERS[name](), name
