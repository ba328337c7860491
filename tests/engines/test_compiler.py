"""A graph is accepted where it answers as the model, and refused where it was made to differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost
from mlflow.models import infer_signature
from onnx import numpy_helper
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from packager.engines.proof.changed_cells import list_changes
from packager.engines.proof.inputs import Column, Inputs, RefusedError
from tests.engines import asking

TABLE = asking.table(400)
X = asking.matrix(TABLE)
CLASSES, NUMBERS = asking.targets(TABLE)
WORDS = np.array(["low", "middle", "high"], dtype=object)[CLASSES]


def boosted(**settings: Any) -> Any:
    settings = {"seed": 0, "nthread": 1, "verbosity": 0, **settings}
    return xgboost.train(
        settings, xgboost.DMatrix(X, CLASSES % 2 + (settings.get("objective") == "reg:gamma")), 8
    )


def light(**settings: Any) -> Any:
    settings = {"verbose": -1, "num_leaves": 7, "seed": 0, "num_threads": 1, **settings}
    data = lightgbm.Dataset(X.round(), CLASSES % 2)
    return lightgbm.train(settings, data, 8)


def xgb(columns: Any, model: Any) -> Any:
    return model.predict(xgboost.DMatrix(asking.matrix(columns)))


MODELS: dict[str, Callable[[], Any]] = {
    "linear regression": lambda: LinearRegression().fit(X, NUMBERS),
    "words for labels": lambda: LogisticRegression().fit(StandardScaler().fit_transform(X), WORDS),
    "a linear machine of words": lambda: make_pipeline(StandardScaler(), LinearSVC()).fit(X, WORDS),
    "a ridge of two classes": lambda: RidgeClassifier().fit(X, CLASSES > 1),
    "a pipeline with an imputer": lambda: make_pipeline(
        SimpleImputer(), StandardScaler(), LogisticRegression()
    ).fit(X, CLASSES),
    "histograms, 3 classes": lambda: HistGradientBoostingClassifier(max_iter=8).fit(X, CLASSES),
    "histograms, 2 classes": lambda: HistGradientBoostingClassifier(max_iter=8).fit(X, CLASSES > 1),
    "histograms": lambda: HistGradientBoostingRegressor(max_iter=8, loss="poisson").fit(X, NUMBERS),
    "boosting, 2 classes": lambda: GradientBoostingClassifier(n_estimators=8).fit(X, CLASSES > 1),
    "boosting, 3 classes": lambda: GradientBoostingClassifier(n_estimators=4).fit(X, CLASSES),
    "boosting of numbers": lambda: GradientBoostingRegressor(n_estimators=8).fit(X, NUMBERS),
    "forest in a bag": lambda: BaggingRegressor(
        DecisionTreeRegressor(max_depth=5), 8, max_features=0.5, random_state=0
    ).fit(X, NUMBERS),
    "forest in a bag of classes": lambda: BaggingClassifier(n_estimators=8, random_state=0).fit(
        X, WORDS
    ),
    "forest of words": lambda: RandomForestClassifier(8, random_state=0).fit(X, WORDS),
    "forest behind a scaler": lambda: make_pipeline(
        StandardScaler(), RandomForestRegressor(8, random_state=0)
    ).fit(X, NUMBERS),
    "histograms behind an imputer": lambda: make_pipeline(
        SimpleImputer(), HistGradientBoostingClassifier(max_iter=8)
    ).fit(X, CLASSES),
    "xgboost in a pipeline": lambda: make_pipeline(
        StandardScaler(), xgboost.XGBClassifier(n_estimators=8, n_jobs=1)
    ).fit(X, CLASSES),
    "xgboost classifier": lambda: xgboost.XGBClassifier(n_estimators=8, n_jobs=1).fit(X, CLASSES),
    "xgboost stopped early": lambda: xgboost.XGBRegressor(
        n_estimators=60, n_jobs=1, early_stopping_rounds=2, learning_rate=1.0
    ).fit(X[:200], NUMBERS[:200], eval_set=[(X[200:], NUMBERS[200:])], verbose=False),
    "xgboost ranker": lambda: xgboost.XGBRanker(n_estimators=8, n_jobs=1).fit(
        X, CLASSES, group=[100] * 4
    ),
    "lightgbm classifier": lambda: lightgbm.LGBMClassifier(
        n_estimators=8, n_jobs=1, verbose=-1
    ).fit(X, CLASSES),
    "lightgbm forest": lambda: lightgbm.LGBMRegressor(
        boosting_type="rf",
        bagging_freq=1,
        bagging_fraction=0.5,
        n_estimators=8,
        n_jobs=1,
        verbose=-1,
    ).fit(X, NUMBERS),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", MODELS)
def test_a_graph_that_answers_as_the_model_is_taken(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    result = asking.proven(asking.case(model), tmp_path)
    assert "refused" not in result
    assert (tmp_path / "model.onnx").is_file()
    evidence = result["evidence"]
    (taken,) = [each for each in evidence["candidates"] if each.get("taken")]
    assert taken["rows"] >= 3000
    # a scaler leaves some thresholds between numbers that no input reaches
    assert evidence["thresholds_asked"] >= 0.9 * evidence["thresholds"]
    assert bool(evidence["thresholds"]) == any(
        word in name for word in ("hist", "boost", "forest", "gbm")
    )


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary:logistic"},
        {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.3},
        {"objective": "count:poisson"},
        {"objective": "reg:gamma", "base_score": 0.5},
        {"objective": "multi:softprob", "num_class": 2},
        {"objective": "multi:softmax", "num_class": 3},
    ],
)
def test_an_xgboost_booster_is_compiled(settings: dict[str, Any], tmp_path: Path) -> None:
    model = boosted(**settings)
    made = asking.case(model, predict=partial(xgb, model=model))
    assert "refused" not in asking.proven(made, tmp_path)


@pytest.mark.parametrize(
    "settings",
    [{"objective": "binary", "sigmoid": 0.7}, {"objective": "poisson"}, {"objective": "huber"}],
)
def test_a_lightgbm_booster_is_compiled(settings: dict[str, Any], tmp_path: Path) -> None:
    assert "refused" not in asking.proven(asking.case(light(**settings)), tmp_path)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (lambda: boosted(booster="gblinear"), "the booster gblinear"),
        (lambda: boosted(objective="binary:hinge"), "the objective binary:hinge"),
        (lambda: light(objective="binary", linear_tree=True), "leaves with a linear model"),
        (lambda: light(objective="binary", zero_as_missing=True), "zeros that stand for missing"),
    ],
)
def test_what_no_graph_stands_for_is_refused(model: Any, why: str, tmp_path: Path) -> None:
    made = model()
    predict = partial(xgb, model=made) if isinstance(made, xgboost.Booster) else None
    changes: dict[str, Any] = {} if predict is None else {"predict": predict}
    with pytest.raises(RefusedError, match=why):
        asking.proven(asking.case(made, **changes), tmp_path)


def moved(graph: onnx.ModelProto, name: str, change: Callable[[Any], Any]) -> onnx.ModelProto:
    """The graph with one initializer, or tensor attribute of its trees, changed."""
    for each in graph.graph.initializer:
        if each.name == name:
            each.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(each)), name))
            return graph
    (node,) = [each for each in graph.graph.node if each.op_type == "TreeEnsemble"]
    (found,) = [each for each in node.attribute if each.name == name]
    found.t.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(found.t)), name))
    return graph


def nudged(values: Any, at: int = 0, by: float = 0.0) -> Any:
    """One value moved: to the next number that there is, or by a share of itself."""
    made = values.copy().ravel()
    made[at] = made[at] * (1 + by) if by else np.nextafter(made[at], np.inf, dtype=made.dtype)
    return made.reshape(values.shape)


MUTATIONS: dict[str, tuple[Callable[[], Any], str, Callable[[Any], Any]]] = {
    "the last threshold, to the next double": (
        lambda: HistGradientBoostingRegressor(max_iter=8).fit(X, NUMBERS),
        "nodes_splits",
        partial(nudged, at=-1),
    ),
    "the last threshold, to the next float": (
        lambda: xgboost.XGBRegressor(n_estimators=8, n_jobs=1).fit(X, NUMBERS),
        "nodes_splits",
        partial(nudged, at=-1),
    ),
    "the first threshold, to the next double": (
        lambda: HistGradientBoostingRegressor(max_iter=8).fit(X, NUMBERS),
        "nodes_splits",
        partial(nudged, at=1),
    ),
    "one leaf": (
        lambda: lightgbm.LGBMRegressor(n_estimators=8, n_jobs=1, verbose=-1).fit(X, NUMBERS),
        "leaf_weights",
        partial(nudged, by=0.01),
    ),
    "one weight": (
        lambda: LinearRegression().fit(X, NUMBERS),
        "coef",
        partial(nudged, by=0.001),
    ),
    "one weight of a classifier": (
        lambda: RidgeClassifier().fit(X, CLASSES),
        "weights",
        partial(nudged, by=0.01),
    ),
    "the order of classes": (
        lambda: HistGradientBoostingClassifier(max_iter=8).fit(X, CLASSES),
        "classes",
        lambda values: values[::-1].copy(),
    ),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_graph_that_was_changed_is_refused(name: str, tmp_path: Path) -> None:
    fit, where, change = MUTATIONS[name]
    made = asking.with_graph(fit(), lambda graph: moved(graph, where, change), rows=2000)
    result = asking.proven(made, tmp_path)
    assert "rows differ" in result["refused"][0]
    assert "expected" in result["refused"][0]
    assert not (tmp_path / "model.onnx").exists()


def test_thresholds_behind_a_step_are_found_over_whole_numbers_too(tmp_path: Path) -> None:
    whole = {name: np.round(column * 100).astype(np.int64) for name, column in TABLE.items()}
    model = make_pipeline(StandardScaler(), RandomForestRegressor(4, max_depth=5, random_state=0))
    model.fit(asking.matrix(whole), NUMBERS)
    inputs = Inputs(columns=tuple(Column(name, "long") for name in asking.NAMES))
    example = {name: column[:3] for name, column in whole.items()}
    result = asking.proven(
        asking.case(model, inputs=inputs, table=whole, example=example), tmp_path
    )
    assert "refused" not in result
    assert result["evidence"]["thresholds_asked"] >= 0.9 * result["evidence"]["thresholds"] > 50


def test_a_scaler_s_overflow_is_refused_where_the_model_refuses_it(tmp_path: Path) -> None:
    scaled = X / X.std(axis=0) * np.array([0.01, 0.5, 4.0, 100.0])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(scaled, CLASSES)
    result = asking.proven(asking.case(model), tmp_path)
    assert "refused" not in result
    within = result["options"]["within"]
    most = float(np.finfo(np.float64).max)
    assert {name: round(ends[1] / most, 6) for name, ends in within.items()} == {
        "a": 0.01,
        "b": 0.5,
    }


def test_categories_that_an_encoder_has_seen_are_asked_for() -> None:
    inputs = Inputs(columns=(Column("a", "double"), Column("b", "string"), Column("c", "boolean")))
    row = {
        "a": np.array([1.0]),
        "b": np.array(["x"], dtype=object),
        "c": np.array([True]),
    }
    asked = {
        (each.column, each.make_table(row)[each.column].tolist()[0])
        for each in list_changes(row, inputs, frozenset({3.0, 7.0, "word"}))
    }
    assert {("a", 3.0), ("a", 7.0), ("a", 8.0), ("a", 2.0), ("a", np.inf)} <= asked
    assert {("b", "word"), ("b", None), ("b", ""), ("c", True), ("c", False)} <= asked


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_forest_of_several_threads_is_held_to_one_while_it_is_compared(tmp_path: Path) -> None:
    """Its trees are added in the order in which threads end: no graph adds them so."""
    worker = pytest.importorskip("packager.engines.onnx.worker")
    table, out = pd.DataFrame(TABLE), tmp_path / "out"
    model = RandomForestRegressor(60, n_jobs=2, random_state=0).fit(table, NUMBERS)
    worker.mlflow.sklearn.save_model(
        model, tmp_path / "model", serialization_format="cloudpickle",
        signature=infer_signature(table, model.predict(table)), pip_requirements=[],
    )  # fmt: skip
    out.mkdir()
    rows = {name: column.tolist() for name, column in TABLE.items()}
    wanted = {"table": rows, "example": None, "rtol": 1e-5, "atol": 1e-6, "seed": 0}
    found = worker.run(tmp_path / "model", wanted, out)
    assert "refused" not in found
    (first, *_) = found["evidence"]["candidates"]
    assert (first["name"], first["exact"]) == ("double, trees", True)
    assert "refused" not in first
    assert first["max_abs_error"] == 0.0
