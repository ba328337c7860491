"""XGBoost: Boosters and its scikit-learn classes, from the model's own JSON.

https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from packager.engines.onnx import splitting
from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.onnx.compilers import ensembles, trees
from packager.engines.proof.inputs import Inputs, RefusedError

if TYPE_CHECKING:
    from xgboost import Booster, XGBModel

_LINKS: Final[Mapping[str, ensembles.Link]] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:absoluteerror": "identity",
    "binary:logitraw": "identity",
    "rank:pairwise": "identity",
    "rank:ndcg": "identity",
    "rank:map": "identity",
}


def candidates(model: object, inputs: Inputs, method: str) -> Iterator[Candidate]:
    """XGBoost computes in float: so does the graph."""
    if method != "predict":
        raise RefusedError(f"a graph has no {method}")
    ensemble = read(model)
    if (
        not ensemble.classes
        and _read_saved_model(model)["learner"]["objective"]["name"] == "multi:softmax"
    ):
        # a Booster answers with the number of the class whose margin is largest
        ensemble = replace(ensemble, classes=tuple(range(len(ensemble.base))), link="identity")
    yield from trees.candidates(ensemble, inputs, method)


def thresholds(model: object) -> Mapping[int, npt.NDArray[np.generic]]:
    return read(model).thresholds()


def read(model: object) -> ensembles.Ensemble:
    """Raises RefusedError for linear boosters, categories of pandas and unknown objectives."""
    missing = getattr(model, "missing", None)
    if missing is not None and not np.isnan(missing):
        # a number that random rows need not have, so that a proof would not see it
        raise RefusedError(f"missing={missing!r}")
    learner = _read_saved_model(model)["learner"]
    objective = learner["objective"]["name"]
    if objective not in _LINKS:
        raise RefusedError(f"the objective {objective}")
    booster = learner["gradient_booster"]
    weights: list[float] | None = None
    if booster["name"] == "dart":
        weights, booster = booster["weight_drop"], booster["gbtree"]
    elif booster["name"] != "gbtree":
        raise RefusedError(f"the booster {booster['name']}")
    parameters = learner["learner_model_param"]
    margins = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    inner = booster["model"]
    # since XGBoost 3.4 a dart model is a gbtree with weights of its own
    weights = inner.get("weight_drop") or weights
    if inner.get("cats", {}).get("enc"):
        raise RefusedError("categories that XGBoost has numbered from a table's own")
    count = _count_used_trees(model, inner)
    found = [
        _tree(tree, target, 1.0 if weights is None else weights[at])
        for at, (tree, target) in enumerate(zip(inner["trees"], inner["tree_info"], strict=True))
        if at < count
    ]
    return ensembles.Ensemble(
        trees=tuple(found),
        features=int(parameters["num_feature"]),
        base=_base(parameters["base_score"], _LINKS[objective], margins),
        less="BRANCH_LT",
        dtype=np.float32,
        whole="Floor",
        link=_LINKS[objective],
        classes=tuple(getattr(model, "classes_", ())) if _classifies(model) else (),
    )


def _classifies(model: object) -> bool:
    return type(model).__name__ in {"XGBClassifier", "XGBRFClassifier"}


def _read_saved_model(model: Booster | XGBModel) -> dict[str, Any]:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    found: dict[str, Any] = json.loads(booster.save_raw("json"))
    return found


def _count_used_trees(model: object, inner: Mapping[str, Any]) -> int:
    """The scikit-learn classes stop at the best iteration, where training found one."""
    attributes = model.get_booster().attributes() if hasattr(model, "get_booster") else {}
    if "best_iteration" not in attributes:
        return len(inner["trees"])
    return int(inner["iteration_indptr"][int(attributes["best_iteration"]) + 1])


def _base(text: str, link: ensembles.Link, margins: int) -> tuple[float, ...]:
    """The base score, which is kept as an answer, as margins."""
    scores = json.loads(text) if text.startswith("[") else [float(text)]
    made = [_margin(float(score), link) for score in scores]
    return tuple(made * margins if len(made) == 1 else made)


def _margin(score: float, link: ensembles.Link) -> float:
    if link == "sigmoid":
        return float(np.float32(-math.log(1.0 / score - 1.0)))
    return float(np.float32(math.log(score))) if link == "exp" else score


def _tree(tree: Mapping[str, Any], target: int, weight: float) -> ensembles.Tree:
    if int(tree["tree_param"].get("size_leaf_vector", "1")) > 1:
        raise RefusedError("leaves with several values")
    nodes = []
    sets = _sets(tree)
    for at, left in enumerate(tree["left_children"]):
        value = float(np.float32(tree["split_conditions"][at]))
        if left == -1:
            nodes.append(ensembles.Node(value * weight))
            continue
        feature, right = int(tree["split_indices"][at]), int(tree["right_children"][at])
        missing = bool(tree["default_left"][at])
        if at in sets:
            # what a split names goes to the right here, and to the left in a graph
            nodes.append(ensembles.Node(0.0, feature, right, int(left), not missing, sets[at]))
        else:
            nodes.append(ensembles.Node(value, feature, int(left), right, missing))
    return ensembles.Tree(int(target), tuple(nodes))


def _sets(tree: Mapping[str, Any]) -> dict[int, tuple[float, ...]]:
    """Categories by the node that names them."""
    where = zip(
        tree.get("categories_nodes", ()),
        tree.get("categories_segments", ()),
        tree.get("categories_sizes", ()),
        strict=True,
    )
    return {
        int(at): tuple(float(each) for each in tree["categories"][start : start + size])
        for at, start, size in where
    }


def splits(model: object) -> list[splitting.Split]:
    return list(splitting.splits(read(model)))


FAMILY: Final = Family(candidates=candidates, thresholds=thresholds, splits=splits)
