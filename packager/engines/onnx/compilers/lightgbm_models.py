"""LightGBM: Boosters and its scikit-learn classes, from `dump_model`, in double.

https://lightgbm.readthedocs.io/en/stable/pythonapi/lightgbm.Booster.html#lightgbm.Booster.dump_model
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from packager.engines.onnx import splitting
from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.onnx.compilers import ensembles, trees
from packager.engines.proof.inputs import Inputs, RefusedError

if TYPE_CHECKING:
    from lightgbm import Booster, LGBMModel

_LINKS: Final[Mapping[str, ensembles.Link]] = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "lambdarank": "identity",
    "rank_xendcg": "identity",
}


def candidates(model: object, inputs: Inputs, method: str) -> Iterator[Candidate]:
    if method not in {"predict", "predict_proba"}:
        raise RefusedError(f"a graph has no {method}")
    ensemble = read(model)
    yield from trees.candidates(ensemble, inputs, method)


def thresholds(model: object) -> Mapping[int, npt.NDArray[np.generic]]:
    return read(model).thresholds()


def read(model: Booster | LGBMModel) -> ensembles.Ensemble:
    """Raises RefusedError for categories of pandas, linear leaves and unknown objectives."""
    booster = getattr(model, "booster_", model)
    if booster.pandas_categorical:
        raise RefusedError("categories that pandas has numbered")
    settings = model.get_params() if hasattr(model, "get_params") else {}
    if settings.get("pred_early_stop"):
        raise RefusedError("pred_early_stop: trees are left out for some rows")
    best = booster.best_iteration
    dump = booster.dump_model(num_iteration=best if best and best > 0 else None)
    words = str(dump.get("objective", "custom")).split()
    if words[0] not in _LINKS:
        raise RefusedError(f"the objective {words[0]}")
    given = dict(word.split(":", 1) for word in words[1:] if ":" in word)
    if "sqrt" in words:
        raise RefusedError("an objective over square roots")
    margins = int(dump["num_tree_per_iteration"])
    found = []
    for at, tree in enumerate(dump["tree_info"]):
        nodes: list[ensembles.Node | None] = []
        _walk(tree["tree_structure"], nodes)
        found.append(
            ensembles.Tree(at % margins, tuple(node for node in nodes if node is not None))
        )
    iterations = len(found) // margins
    average = bool(dump.get("average_output")) and iterations
    return ensembles.Ensemble(
        trees=tuple(found),
        features=int(dump["max_feature_idx"]) + 1,
        base=(0.0,) * margins,
        less="BRANCH_LEQ",
        dtype=np.float64,
        whole="Truncate",
        link=_LINKS[words[0]],
        scale=float(given.get("sigmoid", 1.0)),
        divisor=float(iterations if average else 1),
        classes=tuple(getattr(model, "classes_", ())),
    )


def _walk(node: Mapping[str, Any], nodes: list[ensembles.Node | None]) -> int:
    """Append the node and what is below it; returns its place."""
    at = len(nodes)
    nodes.append(None)
    if "split_feature" not in node:
        if "leaf_coeff" in node:
            raise RefusedError("leaves with a linear model")
        nodes[at] = ensembles.Node(float(node["leaf_value"]))
        return at
    feature = int(node["split_feature"])
    below = _walk(node["left_child"], nodes), _walk(node["right_child"], nodes)
    if node["decision_type"] == "==":
        members = tuple(float(each) for each in str(node["threshold"]).split("||"))
        # whatever is no category goes to the right, and so does a missing value
        nodes[at] = ensembles.Node(0.0, feature, *below, members=members)
        return at
    if node["missing_type"] == "Zero":
        raise RefusedError("zeros that stand for missing values")
    threshold = float(node["threshold"])
    # with no missing values in training, a missing value is zero
    left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
    nodes[at] = ensembles.Node(threshold, feature, *below, left)
    return at


def splits(model: object) -> list[splitting.Split]:
    return list(splitting.splits(read(model)))


FAMILY: Final = Family(candidates=candidates, thresholds=thresholds, splits=splits)
