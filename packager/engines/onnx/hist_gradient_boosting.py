"""scikit-learn's histogram gradient boosting: trees in double, as it computes them.

Reads `_predictors`, `_baseline_prediction` and `_loss`
(https://github.com/scikit-learn/scikit-learn, sklearn/ensemble/_hist_gradient_boosting).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from packager.engines.onnx import trees
from packager.engines.onnx.candidates import RefusedError

_NAMES: Final = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
_LINKS: Final[Mapping[str, trees.Link]] = {
    "IdentityLink": "identity",
    "LogLink": "exp",
    "LogitLink": "sigmoid",
    "HalfLogitLink": "sigmoid",
    "MultinomialLogit": "softmax",
}


def is_one(model: Any) -> bool:
    return type(model).__name__ in _NAMES and type(model).__module__.startswith("sklearn.")


def read(model: Any) -> trees.Ensemble:
    """Raises RefusedError for categorical splits and unknown links."""
    link = type(model._loss.link).__name__  # noqa: SLF001 - there is no public way to the trees
    if link not in _LINKS:
        raise RefusedError(f"a link that is not known: {link}")
    found = [
        trees.Tree(target, tuple(_node(each) for each in predictor.nodes))
        for predictors in model._predictors  # noqa: SLF001
        for target, predictor in enumerate(predictors)
    ]
    base = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()  # noqa: SLF001
    return trees.Ensemble(
        trees=tuple(found),
        features=model.n_features_in_,
        base=tuple(base.tolist()),
        less="BRANCH_LEQ",
        dtype=np.float64,
        link=_LINKS[link],
        classes=tuple(getattr(model, "classes_", ())),
    )


def _node(node: Any) -> trees.Node:
    if node["is_leaf"]:
        return trees.Node(float(node["value"]))
    if node["is_categorical"]:
        raise RefusedError("a split by categories")
    return trees.Node(
        float(node["num_threshold"]),
        int(node["feature_idx"]),
        int(node["left"]),
        int(node["right"]),
        bool(node["missing_go_to_left"]),
    )
