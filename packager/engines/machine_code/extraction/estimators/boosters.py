"""XGBoost from its JSON, LightGBM from its text: trees with a link behind their sum.

https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.checks import put_first, refuses
from packager.engines.machine_code.extraction.estimators.linear import apply, both_sides
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import Table, compute, gather, table_of
from packager.engines.machine_code.extraction.tree_tables import (
    MISSING_LEFT,
    ZERO_IS_MISSING,
    Tree,
    add_trees,
    number_apart,
)

_LIGHTGBM_LINKS = {
    "binary": "expit",
    "cross_entropy": "expit",
    "multiclass": "softmax",
    "multiclassova": "expit",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "regression": "",
    "regression_l1": "",
    "huber": "",
    "fair": "",
    "quantile": "",
    "mape": "",
    "lambdarank": "",
    "rank_xendcg": "",
}
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_TINY = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold (include/LightGBM/meta.h)."""
_MISSING_ZERO = 1
"""Of a split's decision_type: the first two bits, and what follows them."""


@index.reads(ESTIMATORS, "lightgbm.Booster", "lightgbm.LGBMRegressor", "lightgbm.LGBMClassifier")
@index.reads(ESTIMATORS, "lightgbm.LGBMRanker")
def estimate_lightgbm(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for categories, linear leaves and unknown objectives."""
    booster: Fitted = getattr(model, "booster_", model)
    _refuse_early_stop(model)
    if booster.pandas_categorical:
        raise UnsupportedError("categories that pandas has numbered")
    best = booster.best_iteration
    text = booster.model_to_string(num_iteration=best if best and best > 0 else None)
    head, *bodies = text.partition("end of trees")[0].split("\nTree=")
    settings = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    words = settings.get("objective", "custom").split()
    if words[0] not in _LIGHTGBM_LINKS or "sqrt" in words:
        raise UnsupportedError("LightGBM's objective {}".format(" ".join(words)))
    margins = int(settings["num_tree_per_iteration"])
    trees = [_read_lightgbm_tree(body) for body in bodies]
    targets = [at % margins for at in range(len(trees))]
    block = gather(program, table, "double")
    sums = add_trees(program, block, trees, targets, np.zeros(margins), "<=", "double")
    if "average_output" in head.splitlines():
        sums = compute(program, sums, "/", np.float64(len(trees) // margins))
    given = dict(word.split(":", 1) for word in words[1:] if ":" in word)
    link = _LIGHTGBM_LINKS[words[0]]
    if float(given.get("sigmoid", 1.0)) != 1.0:
        sums = compute(program, sums, "*", np.float64(given["sigmoid"]))
    numbers = apply(program, link, sums) if link else sums
    return _add_labels(model, program, numbers)


def _refuse_early_stop(model: Fitted) -> None:
    """Raises UnsupportedError where trees are left out for a row whose sum is large enough."""
    settings = model.get_params() if hasattr(model, "get_params") else {}
    if settings.get("pred_early_stop"):
        raise UnsupportedError("LightGBM's pred_early_stop")


def _add_labels(model: Fitted, program: Program, numbers: Block) -> Answer:
    if not hasattr(model, "classes_"):
        return Answer(numbers)
    if numbers.width == 1:
        numbers = both_sides(program, numbers)
    return Answer(numbers, program.add("argmax", [numbers], "int64", 1))


def _read_lightgbm_tree(body: str) -> Tree:
    """Inner nodes and leaves are counted apart in the text too."""
    fields: dict[str, str] = dict(line.split("=", 1) for line in body.splitlines() if "=" in line)
    if fields.get("is_linear", "0") != "0":
        raise UnsupportedError("leaves with a linear model")
    leaves = np.array(fields["leaf_value"].split(), np.float64).reshape(-1, 1)
    if len(leaves) == 1:
        empty = np.zeros(0, np.int64)
        return Tree(empty, empty, empty, np.zeros(0), np.zeros(0, np.uint8), leaves)
    kinds = np.array(fields["decision_type"].split(), np.int64)
    if (kinds & _CATEGORICAL).any():
        raise UnsupportedError("LightGBM's splits by categories")
    thresholds = np.array(fields["threshold"].split(), np.float64)
    missing = (kinds >> 2) & 3
    left = (kinds & _DEFAULT_LEFT) != 0
    # with no missing values in training, a missing value is zero
    left = np.where(missing == 0, thresholds >= 0.0, left)
    # what is as small as this is read as zero, and goes where zero goes
    below = (thresholds >= -_TINY) & (thresholds < 0.0)
    thresholds = np.where(below, np.nextafter(-_TINY, -np.inf), thresholds)
    thresholds = np.where((thresholds >= 0.0) & (thresholds < _TINY), _TINY, thresholds)
    flags = left * MISSING_LEFT + (missing == _MISSING_ZERO) * ZERO_IS_MISSING
    whole = [
        np.array(fields[name].split(), np.int64)
        for name in ("left_child", "right_child", "split_feature")
    ]
    return Tree(whole[0], whole[1], whole[2], thresholds, flags.astype(np.uint8), leaves)


_XGBOOST_LINKS = {
    "binary:logistic": "expit",
    "reg:logistic": "expit",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "reg:squarederror": "",
    "reg:squaredlogerror": "",
    "reg:pseudohubererror": "",
    "reg:absoluteerror": "",
    "binary:logitraw": "",
    "binary:hinge": "",
    "rank:pairwise": "",
    "rank:ndcg": "",
    "rank:map": "",
    "reg:quantileerror": "",
    "survival:cox": "exp",
    "survival:aft": "exp",
}


def _write_json(booster: Fitted) -> dict[str, Fitted]:
    """XGBoost's own dump; before 1.6 it writes JSON to a file alone."""
    try:
        text = bytes(booster.save_raw("json"))
    except TypeError:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            booster.save_model(str(path))
            text = path.read_bytes()
    found: dict[str, Fitted] = json.loads(text.decode("utf-8"))
    return found


def _count_trees(inner: Fitted, rounds: int, attributes: dict[str, str], margins: int) -> int:
    """Trees of the first `rounds`; before 2.0 each model says how many count, for one margin."""
    ends = inner.get("iteration_indptr")
    return int(ends[rounds]) if ends else int(attributes["best_ntree_limit"]) * margins


@index.reads(ESTIMATORS, "xgboost.Booster", "xgboost.XGBRegressor", "xgboost.XGBClassifier")
@index.reads(ESTIMATORS, "xgboost.XGBRFRegressor", "xgboost.XGBRFClassifier", "xgboost.XGBRanker")
def estimate_xgboost(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for linear boosters, categories and unknown objectives."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    missing = getattr(model, "missing", None)
    if missing is not None and not np.isnan(missing):
        # a number that random rows need not have, so that a proof would not see it
        raise UnsupportedError(f"XGBoost's missing={missing!r}")
    learner = _write_json(booster)["learner"]
    objective = learner["objective"]["name"]
    if objective not in _XGBOOST_LINKS:
        raise UnsupportedError(f"XGBoost's objective {objective}")
    inner, shares = _read_gradient_booster(learner["gradient_booster"])
    parameters = learner["learner_model_param"]
    margins = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    count = len(inner["trees"])
    best = booster.attributes().get("best_iteration") if booster is not model else None
    if best is not None:
        count = _count_trees(inner, int(best) + 1, booster.attributes(), margins)
    trees = [_read_xgboost_tree(each) for each in inner["trees"][:count]]
    targets = [int(each) for each in inner["tree_info"][:count]]
    link = _XGBOOST_LINKS[objective]
    base = _read_base_score(str(parameters["base_score"]), link, margins)
    if shares is not None:
        starts = base if booster is not model else [0.0] * len(base)
        of_trees = [starts[at] for at in targets]
        trees = [_weigh_tree(*each) for each in zip(trees, shares, of_trees)]
    block = gather(program, table, "float")
    if len(trees) == 0:
        raise UnsupportedError("a booster without trees")
    if booster is model and _refuses_infinity(booster, block.width):
        block = program.add(
            "refuse", [block], "float", block.width, nan=False, infinite=True, wide=False
        )
    sums = add_trees(program, block, trees, targets, base, "<", "float")
    return _answer_xgboost(model, program, objective, sums)


def _refuses_infinity(booster: Fitted, width: int) -> bool:
    """Ask a booster over a matrix, which refuses infinite values; the estimators take them."""
    matrix = sys.modules["xgboost"].DMatrix

    def ask(row: Array) -> Fitted:
        return booster.predict(matrix(row), validate_features=False)

    row = np.zeros((1, width))
    return not refuses(ask, row) and refuses(ask, put_first(row, np.inf))


def _answer_xgboost(model: Fitted, program: Program, objective: str, sums: Block) -> Answer:
    link = _XGBOOST_LINKS[objective]
    if objective == "multi:softmax" and not hasattr(model, "classes_"):
        best_of = program.add("argmax", [sums], "int64", 1)
        return Answer(gather(program, table_of(best_of), "float"))
    numbers = apply(program, link, sums) if link else sums
    if objective == "binary:hinge":
        sides = program.add("above", [sums], "int64", sums.width, constants=np.zeros(sums.width))
        numbers = gather(program, table_of(sides), "float")
    if not hasattr(model, "classes_"):
        return Answer(numbers)
    if numbers.width == 1:
        half = np.array([0.5])
        best_of = program.add("above", [numbers], "int64", 1, constants=half)
        return Answer(both_sides(program, numbers), best_of)
    return Answer(numbers, program.add("argmax", [numbers], "int64", 1))


def _read_gradient_booster(gradient: Fitted) -> tuple[Fitted, Array | None]:
    """The trees, and by what each one's leaves are multiplied where trees are dropped.

    Raises UnsupportedError for a booster that is not made of trees.
    """
    if gradient["name"] == "dart":
        return gradient["gbtree"]["model"], np.array(gradient["weight_drop"], np.float32)
    if gradient["name"] != "gbtree":
        raise UnsupportedError("XGBoost's booster {}".format(gradient["name"]))
    if gradient["model"].get("weight_drop"):
        raise UnsupportedError("XGBoost's booster gbtree with weights of its own")
    return gradient["model"], None


def _weigh_tree(tree: Tree, share: float, start: float) -> Tree:
    """Leaves of a dart booster, in float: each tree is answered from `start` on, as by itself.

    The estimators predict in place, where every tree starts with the base score and this is
    taken off again; a booster over a matrix starts with nothing
    (https://github.com/dmlc/xgboost, src/gbm/gbtree.cc, `Dart`).
    """
    begun = np.float32(start)
    return tree._replace(leaves=((tree.leaves + begun) - begun) * np.float32(share))


def _read_base_score(text: str, link: str, margins: int) -> list[float]:
    """The base score, which is kept as an answer, as margins."""
    scores = json.loads(text) if text.startswith("[") else [float(text)]
    found = []
    for score in scores:
        margin = float(score)
        if link == "expit":
            margin = -math.log(1.0 / margin - 1.0)
        elif link == "exp":
            margin = math.log(margin)
        found.append(float(np.float32(margin)))
    return found * margins if len(found) == 1 else found


def _read_xgboost_tree(tree: Fitted) -> Tree:
    if int(tree["tree_param"].get("size_leaf_vector", "1")) > 1:
        raise UnsupportedError("leaves with several values")
    if tree.get("categories_nodes"):
        raise UnsupportedError("XGBoost's splits by categories")
    children = [np.array(tree[name], np.int64) for name in ("left_children", "right_children")]
    split, leaf, lefts, rights = number_apart(*children)
    values = np.array(tree["split_conditions"], np.float64).astype(np.float32)
    return Tree(
        lefts,
        rights,
        np.array(tree["split_indices"], np.int64)[split],
        values[split],
        np.array(tree["default_left"], np.uint8)[split] * np.uint8(MISSING_LEFT),
        values[leaf].reshape(-1, 1),
    )
