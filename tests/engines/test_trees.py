"""Trees: categories as the frameworks split by them, and which precision is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from packager.engines.onnx import categories, selection, splitting
from packager.engines.onnx.candidates import Candidate
from packager.engines.onnx.compilers import ensembles, trees
from packager.engines.onnx.families import family_of
from packager.engines.proof.inputs import Column, Inputs, RefusedError
from packager.engines.proof.test_rows import Table
from tests.engines import asking

FLOATS = Inputs(columns=tuple(Column(name, "float") for name in asking.NAMES))


def table(rows: int, seed: int) -> Table:
    """Two columns of categories among two of numbers; some of each missing or between two."""
    rng = np.random.default_rng(seed)
    made = asking.table(rows, seed)
    made["b"] = rng.integers(0, 15, rows).astype(float)
    made["d"] = rng.choice([-2.0, 0.0, 3.0, 7.0, 100.0], rows)
    for name in asking.NAMES:
        made[name][rng.random(rows) < 0.05] = np.nan
    made["b"][rng.random(rows) < 0.05] += 0.5
    return made


def training(*, negative: bool = False) -> tuple[Any, Any]:
    """Categories as a data set has them: whole, and for most frameworks not below zero."""
    made = table(800, 3)
    made["b"] = np.floor(made["b"])
    if not negative:
        made["d"] = np.abs(made["d"])
    matrix = asking.matrix(made)
    whole = np.nan_to_num(matrix)
    score = whole[:, 0] + 5 * (whole[:, 1] % 7 > 3) + 3 * (whole[:, 3] % 3) + 40.0
    return matrix, score


X, NUMBERS = training()
LOW, LOW_NUMBERS = training(negative=True)
CLASSES = np.digitize(NUMBERS, np.quantile(NUMBERS, (0.3, 0.7)))
XGB: dict[str, Any] = {
    "n_estimators": 3,
    "max_depth": 4,
    "n_jobs": 1,
    "enable_categorical": True,
    "feature_types": ["q", "c", "q", "c"],
}
LIGHT: dict[str, Any] = {
    "n_estimators": 3,
    "num_leaves": 9,
    "n_jobs": 1,
    "verbose": -1,
    "min_child_samples": 5,
}
HIST: dict[str, Any] = {
    "max_iter": 3,
    "max_leaf_nodes": 9,
    "categorical_features": [1, 3],
    "random_state": 0,
}
CATEGORICAL: dict[str, Callable[[], Any]] = {
    "lightgbm": lambda: lightgbm.LGBMRegressor(**LIGHT).fit(X, NUMBERS, categorical_feature=[1, 3]),
    "lightgbm, 3 classes": lambda: lightgbm.LGBMClassifier(**LIGHT).fit(
        X, CLASSES, categorical_feature=[1, 3]
    ),
    "lightgbm, one against the rest": lambda: lightgbm.LGBMRegressor(
        max_cat_to_onehot=50, **LIGHT
    ).fit(X, NUMBERS, categorical_feature=[1, 3]),
    "xgboost, sets": lambda: xgboost.XGBRegressor(max_cat_to_onehot=1, **XGB).fit(X, NUMBERS),
    "xgboost, one against the rest": lambda: xgboost.XGBRegressor(max_cat_to_onehot=50, **XGB).fit(
        X, NUMBERS
    ),
    "xgboost, 3 classes": lambda: xgboost.XGBClassifier(**XGB).fit(X, CLASSES),
    "histograms": lambda: HistGradientBoostingRegressor(**HIST).fit(LOW, LOW_NUMBERS),
    "histograms, 3 classes": lambda: HistGradientBoostingClassifier(**HIST).fit(LOW, CLASSES),
}


def held(model: Any, **changes: Any) -> Any:
    return asking.case(model, table=table(2000, 5), example=table(5, 6), **changes)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", CATEGORICAL)
def test_splits_by_categories_are_compiled(name: str, tmp_path: Path) -> None:
    model = CATEGORICAL[name]()
    found = list(family_of(model).splits(model))
    assert sum(bool(split.cells) for split in found) >= 3
    result = asking.proven(held(model), tmp_path)
    assert "refused" not in result
    evidence = result["evidence"]
    assert evidence["thresholds_asked"] == evidence["thresholds"] == len(found)


def test_a_booster_behind_a_step_keeps_its_categories(tmp_path: Path) -> None:
    keep = make_pipeline(StandardScaler(with_mean=False, with_std=False), lightgbm.LGBMRegressor())
    keep.set_params(**{f"lgbmregressor__{name}": value for name, value in LIGHT.items()})
    keep.fit(X, NUMBERS, lgbmregressor__categorical_feature=[1, 3])
    assert "refused" not in asking.proven(held(keep), tmp_path)


def turned(graph: onnx.ModelProto) -> onnx.ModelProto:
    """One category sent the other way by one split."""
    (found,) = [each for each in graph.graph.initializer if each.name == "category_1_table"]
    table = onnx.numpy_helper.to_array(found).copy()
    table[5, 0] = not table[5, 0]
    found.CopyFrom(onnx.numpy_helper.from_array(table, found.name))
    return graph


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["lightgbm", "xgboost, sets", "histograms"])
def test_one_category_that_goes_the_other_way_is_noticed(name: str, tmp_path: Path) -> None:
    model = CATEGORICAL[name]()
    family = family_of(model)

    def changed(model: Any, inputs: Inputs, method: str) -> Iterator[Candidate]:
        first = next(iter(family.candidates(model, inputs, method)))
        yield replace(first, graph=lambda: turned(first.graph()))

    result = asking.proven(held(model, family=replace(family, candidates=changed)), tmp_path)
    assert "rows differ" in result["refused"][0]


def drawn(rng: np.random.Generator) -> ensembles.Ensemble:
    """Trees of any shape, lone leaves among them; splits by numbers and by categories."""
    found = []
    for _ in range(int(rng.integers(1, 7))):
        nodes: list[ensembles.Node | None] = [None]
        todo = [0]
        while todo:
            at = todo.pop(int(rng.integers(len(todo))))
            if len(nodes) > 12 or rng.random() < 0.35:
                nodes[at] = ensembles.Node(float(rng.normal()))
                continue
            left, right = len(nodes), len(nodes) + 1
            nodes += [None, None]
            todo += [left, right]
            missing, feature = bool(rng.random() < 0.5), int(rng.integers(3))
            some = tuple(float(each) for each in np.flatnonzero(rng.random(6) < 0.5))
            members = some if feature == 2 else None
            value = float(rng.normal())
            nodes[at] = ensembles.Node(value, feature, left, right, missing, members)
        target = int(rng.integers(2))
        found.append(ensembles.Tree(target, tuple(each for each in nodes if each is not None)))
    return ensembles.Ensemble(
        trees=tuple(found), features=3, base=(0.5, 0.0), less="BRANCH_LEQ", dtype=np.float64
    )


def walked(tree: ensembles.Tree, row: Any) -> float:
    node = tree.nodes[0]
    while node.left is not None and node.right is not None:
        value = row[node.feature]
        if np.isnan(value):
            left = node.missing_left
        elif node.members is not None:
            left = value in node.members
        else:
            left = value <= node.value
        node = tree.nodes[node.left if left else node.right]
    return node.value


@pytest.mark.parametrize("seed", range(60))
def test_a_graph_adds_what_the_trees_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = drawn(rng)
    table = rng.normal(size=(40, 3))
    table[:, 2] = rng.integers(-1, 8, 40)
    table[rng.random((40, 3)) < 0.1] = np.nan
    expected = np.tile(np.array(made.base), (40, 1))
    for at, row in enumerate(table):
        for tree in made.trees:
            expected[at, tree.target] += walked(tree, row)
    graph = trees.graph(made).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {trees.INPUT: table})
    assert np.array_equal(answer, expected)


def test_a_row_is_led_to_a_split_behind_categories() -> None:
    node = ensembles.Node
    tree = ensembles.Tree(
        0,
        (
            node(0.0, 0, 1, 2, members=(1.0, 4.0)),
            node(3.5, 1, 3, 4),
            node(0.0, 0, 5, 6, members=(2.0,)),
            *(node(float(at)) for at in range(4)),
        ),
    )
    made = ensembles.Ensemble(
        trees=(tree,), features=2, base=(0.0,), less="BRANCH_LEQ", dtype=np.float64
    )
    found = {split.threshold: split for split in splitting.splits(made) if not split.cells}
    assert found[3.5].fixed == {0: 1.0}
    first, second = (split for split in splitting.splits(made) if split.cells)
    assert first.fixed == {0: 1.0}
    assert second.fixed == {0: 2.0}
    assert {1.0, 4.0, 2.0, 5.0} <= set(first.cells)


def test_categories_that_pandas_has_numbered_are_refused() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(list("abcd") * 50), "b": range(200)})
    light = lightgbm.LGBMRegressor(**LIGHT).fit(frame, frame["b"] % 4)
    with pytest.raises(RefusedError, match="categories that pandas has numbered"):
        family_of(light).splits(light)
    boosted = xgboost.XGBRegressor(n_estimators=2, enable_categorical=True, n_jobs=1)
    boosted.fit(frame, frame["b"] % 4)
    with pytest.raises(RefusedError, match="numbered from a table's own"):
        family_of(boosted).splits(boosted)


def test_categories_that_are_words_are_refused() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(list("abcd") * 50), "b": range(200)})
    model = HistGradientBoostingRegressor(max_iter=2).fit(frame, frame["b"] % 4)
    with pytest.raises(RefusedError, match="categories that are words"):
        next(iter(family_of(model).candidates(model, FLOATS, "predict")))


def test_tables_of_categories_have_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(categories, "LARGEST_CELLS", 10)
    result = asking.proven(held(CATEGORICAL["lightgbm"]()), tmp_path)
    assert "cells" in result["refused"][0]


def split(threshold: float, less: Any) -> float:
    nodes = (ensembles.Node(threshold, 0, 1, 2), ensembles.Node(0.0), ensembles.Node(1.0))
    made = ensembles.Ensemble(
        trees=(ensembles.Tree(0, nodes),), features=1, base=(0.0,), less=less, dtype=np.float64
    )
    return ensembles.narrow_ensemble(made).trees[0].nodes[0].value


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_threshold_in_float_parts_floats_as_the_double_did() -> None:
    rng = np.random.default_rng(0)
    some = rng.normal(size=500) * 10.0 ** rng.integers(-50, 40, 500)
    exact = [0.0, -0.0, 1.5, 1e300, -1e300, 1e-320, -1e-320, 16777217.0]
    for threshold in (*some.tolist(), *exact):
        near = np.float32(threshold)
        around = [near, *(np.nextafter(near, np.float32(way)) for way in (-np.inf, np.inf))]
        for x in (*around, np.float32(np.inf), np.float32(-np.inf)):
            for less, holds in (("BRANCH_LEQ", np.less_equal), ("BRANCH_LT", np.less)):
                narrow = np.float32(split(threshold, less))
                assert holds(x, narrow) == holds(np.float64(x), np.float64(threshold))


def floats(rows: int, seed: int) -> Table:
    return {name: each.astype(np.float32) for name, each in asking.table(rows, seed).items()}


def chosen(model: Any, out: Path, **changes: Any) -> dict[str, Any]:
    result = asking.proven(asking.case(model, **changes), out)
    return {each["name"]: each for each in result["evidence"]["candidates"]}


DOUBLE, FLOAT = "double, trees", "float with exact thresholds, trees"


@pytest.fixture
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "WORTH_BYTES", 2000)


def hist(**settings: Any) -> Any:
    matrix = asking.matrix(asking.table(400))
    _, numbers = asking.targets(asking.table(400))
    return HistGradientBoostingRegressor(max_iter=20, **settings).fit(matrix, numbers)


@pytest.mark.few(0)
@pytest.mark.usefixtures("worth")
def test_a_cheaper_graph_in_float_is_taken_where_columns_are_floats(tmp_path: Path) -> None:
    given: dict[str, Any] = {"inputs": FLOATS, "table": floats(2000, 1), "example": floats(5, 2)}
    found = chosen(hist(), tmp_path, **given)
    assert found[FLOAT]["taken"]
    assert found[FLOAT]["graph_bytes"] < found[DOUBLE]["graph_bytes"]
    assert found[FLOAT]["max_rel_error"] < 1e-6
    assert "refused" not in found[DOUBLE]
    assert found[DOUBLE]["max_abs_error"] == 0.0


@pytest.mark.usefixtures("worth")
def test_a_column_of_doubles_keeps_a_graph_in_double(tmp_path: Path) -> None:
    found = chosen(hist(), tmp_path)
    assert found[DOUBLE]["taken"]
    assert "rows differ" in found[FLOAT]["refused"]


@pytest.mark.few(0)
@pytest.mark.usefixtures("worth")
def test_a_forest_rounds_its_inputs_so_that_float_is_exact_enough(tmp_path: Path) -> None:
    data = asking.table(400)
    model = RandomForestRegressor(5, random_state=0)
    model.fit(asking.matrix(data), asking.targets(data)[1])
    found = chosen(model, tmp_path)
    assert found[FLOAT]["taken"]
    behind = make_pipeline(StandardScaler(), model).fit(
        asking.matrix(data), asking.targets(data)[1]
    )
    found = chosen(behind, tmp_path)
    assert found["double, matrix, " + FLOAT]["taken"]


@pytest.mark.usefixtures("worth")
def test_a_threshold_that_is_only_rounded_is_refused(tmp_path: Path) -> None:
    """What converters do: the nearest float, on either side of the double."""
    model = hist()
    family = family_of(model)

    def rounded(model: Any, inputs: Inputs, method: str) -> Iterator[Candidate]:
        first = next(iter(family.candidates(model, inputs, method)))
        from packager.engines.onnx.compilers import hist_gradient_boosting

        nearest = replace(hist_gradient_boosting.read(model), dtype=np.float32)
        yield replace(
            first,
            graph=partial(trees.graph, nearest),
            feeds=inputs.matrix("float32"),
            exact=False,
        )

    given: dict[str, Any] = {"inputs": FLOATS, "table": floats(2000, 1), "example": floats(5, 2)}
    case = asking.case(model, family=replace(family, candidates=rounded), **given)
    assert "rows differ" in asking.proven(case, tmp_path)["refused"][0]


@pytest.mark.usefixtures("worth")
def test_labels_that_are_proven_in_double_stay_there(tmp_path: Path) -> None:
    data = asking.table(400)
    model = HistGradientBoostingClassifier(max_iter=20)
    model.fit(asking.matrix(data), asking.targets(data)[0])
    found = chosen(model, tmp_path)
    assert found[DOUBLE]["taken"]
    assert found[FLOAT]["skipped"] == "labels are proven: double, trees"


def test_a_small_graph_is_not_tried_again(tmp_path: Path) -> None:
    found = chosen(hist(), tmp_path)
    assert found[DOUBLE]["taken"]
    assert "could save" in found[FLOAT]["skipped"]
