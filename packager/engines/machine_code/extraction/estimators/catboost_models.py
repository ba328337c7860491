"""CatBoost from its JSON: trees that ask the same at every node of a level, and others.

https://catboost.ai/docs/en/concepts/json
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Sequence

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import (
    above_zero,
    apply,
    both_sides,
)
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Array, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import Table, compute, gather
from packager.engines.machine_code.extraction.tree_tables import MISSING_LEFT, Tree, add_trees

_EXPONENTS = ("Poisson", "Tweedie", "LogLinQuantile")
_SIGMOIDS = ("Logloss", "CrossEntropy")
_CLASSES = {"MultiClass": "softmax", "MultiClassOneVsAll": "expit"}
_SUMS = (
    "RMSE", "MAE", "Quantile", "MAPE", "Huber", "Expectile", "LogCosh", "Lq", "MultiRMSE",
)  # fmt: skip


@index.reads(ESTIMATORS, "catboost.CatBoost", "catboost.CatBoostRegressor")
@index.reads(ESTIMATORS, "catboost.CatBoostClassifier")
def estimate_catboost(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for categories, texts, other trees and other losses."""
    found = _read_json(model)
    features = found["features_info"]
    if any(features.get(name) for name in ("categorical_features", "text_features")):
        raise UnsupportedError("CatBoost over categories or texts")
    floats = {each["feature_index"]: each for each in features["float_features"]}
    scale, bias = found["scale_and_bias"]
    base = np.zeros(len(np.ravel(bias)))
    if "oblivious_trees" in found:
        trees = [_read_levels(each, floats, len(base)) for each in found["oblivious_trees"]]
    else:
        trees = [_read_nodes(each, floats, len(base)) for each in found["trees"]]
    block = gather(program, table, "float")
    sums = add_trees(program, block, trees, [0] * len(trees), base, "<=", "double")
    sums = compute(program, sums, "*", np.float64(scale))
    sums = compute(program, sums, "+", np.asarray(np.ravel(bias), np.float64))
    loss = str(model.get_all_params()["loss_function"]).partition(":")[0]
    if loss in _SUMS:
        return Answer(sums)
    if loss in _EXPONENTS:
        return Answer(apply(program, "exp", sums))
    if loss in _SIGMOIDS and len(model.classes_) == 2:
        shares = both_sides(program, apply(program, "expit", sums))
        return Answer(shares, above_zero(program, sums), sums)
    if loss in _CLASSES:
        best = program.add("argmax", [sums], "int64", 1)
        return Answer(apply(program, _CLASSES[loss], sums), best, sums)
    raise UnsupportedError(f"CatBoost's loss {loss}")


def _read_json(model: Fitted) -> Fitted:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return json.loads(path.read_text(encoding="utf-8"))


def _read_levels(tree: Fitted, floats: Fitted, width: int) -> Tree:
    """A node of a level is known by its answers so far: the first one is the lowest bit."""
    splits = tree.get("splits") or []
    lefts, rights, places = [], [], []
    for level in range(len(splits)):
        here = np.arange(2**level)
        last = level + 1 == len(splits)
        below = [here, here + 2**level]
        left, right = (~each if last else each + 2 ** (level + 1) - 1 for each in below)
        lefts.append(left)
        rights.append(right)
        places.append(np.full(2**level, level))
    none = np.zeros(0, np.int64)
    at = np.concatenate([none, *places])
    features, borders, flags = _read_splits(splits, floats)
    return Tree(
        np.concatenate([none, *lefts]),
        np.concatenate([none, *rights]),
        features[at],
        borders[at],
        flags[at],
        np.array(tree["leaf_values"], np.float64).reshape(-1, width),
    )


def _read_nodes(tree: Fitted, floats: Fitted, width: int) -> Tree:
    """Nodes that hold one another; each is numbered before those below it."""
    splits: list[Fitted] = []
    leaves: list[Fitted] = []
    children: list[list[int]] = [[], []]
    todo: list[tuple[Fitted, int, int]] = [(tree, -1, 0)]
    while todo:
        node, parent, side = todo.pop()
        number = len(splits) if "split" in node else ~len(leaves)
        if parent >= 0:
            children[side][parent] = number
        if "split" not in node:
            leaves.append(node["value"])
            continue
        splits.append(node["split"])
        for each in children:
            each.append(0)
        todo += [(node["right"], number, 1), (node["left"], number, 0)]
    lefts, rights = (np.array(each, np.int64) for each in children)
    values = np.array(leaves, np.float64).reshape(-1, width)
    return Tree(lefts, rights, *_read_splits(splits, floats), values)


def _read_splits(splits: Sequence[Fitted], floats: Fitted) -> tuple[Array, Array, Array]:
    """Columns, borders and where a missing value goes; above its border a value goes right.

    Raises UnsupportedError for splits that ask something else.
    """
    if any(each["split_type"] != "FloatFeature" for each in splits):
        raise UnsupportedError("CatBoost's splits by categories")
    known = [floats[each["float_feature_index"]] for each in splits]
    flags = [MISSING_LEFT * (each["nan_value_treatment"] != "AsTrue") for each in known]
    return (
        np.array([each["flat_feature_index"] for each in known], np.int64),
        np.array([each["border"] for each in splits], np.float64).astype(np.float32),
        np.array(flags, np.uint8),
    )
