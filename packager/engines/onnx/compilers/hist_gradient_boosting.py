"""scikit-learn's histogram gradient boosting: trees in double, as it computes them.

Reads `_predictors`, `_baseline_prediction` and `_loss`
(https://github.com/scikit-learn/scikit-learn, sklearn/ensemble/_hist_gradient_boosting).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from packager.engines.onnx.compilers import ensembles
from packager.engines.proof.inputs import RefusedError

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

_NAMES: Final = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
_LINKS: Final[Mapping[str, ensembles.Link]] = {
    "IdentityLink": "identity",
    "LogLink": "exp",
    "LogitLink": "sigmoid",
    "HalfLogitLink": "sigmoid",
    "MultinomialLogit": "softmax",
}


def is_one(model: object) -> bool:
    return type(model).__name__ in _NAMES and type(model).__module__.startswith("sklearn.")


def read(model: BaseEstimator) -> ensembles.Ensemble:
    """Raises RefusedError for categories that are words, and for unknown links."""
    link = type(model._loss.link).__name__  # noqa: SLF001 - there is no public way to the trees
    if link not in _LINKS:
        raise RefusedError(f"a link that is not known: {link}")
    order, kinds = _columns(model)
    found = [
        ensembles.Tree(
            target, tuple(_node(each, predictor, order, kinds) for each in predictor.nodes)
        )
        for predictors in model._predictors  # noqa: SLF001
        for target, predictor in enumerate(predictors)
    ]
    base = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()  # noqa: SLF001
    return ensembles.Ensemble(
        trees=tuple(found),
        features=model.n_features_in_,
        base=tuple(base.tolist()),
        less="BRANCH_LEQ",
        dtype=np.float64,
        link=_LINKS[link],
        classes=tuple(getattr(model, "classes_", ())),
    )


def _columns(model: BaseEstimator) -> tuple[list[int], list[npt.NDArray[np.generic]]]:
    """Inputs in the order in which the trees have them, and the categories of the first of them."""
    is_category = getattr(model, "is_categorical_", None)
    if is_category is None:
        return list(range(model.n_features_in_)), []
    encoder = getattr(model, "_preprocessor", None)
    if encoder is None:
        raise RefusedError("categories as scikit-learn had them before 1.4")
    kinds = [np.asarray(each) for each in encoder.named_transformers_["encoder"].categories_]
    if any(each.dtype.kind not in "fiub" for each in kinds):
        raise RefusedError("categories that are words")
    order = [*np.flatnonzero(is_category), *np.flatnonzero(~np.asarray(is_category))]
    return [int(at) for at in order], [each.astype(np.float64) for each in kinds]


def _node(
    node: np.void, predictor: TreePredictor, order: list[int], kinds: list[npt.NDArray[np.generic]]
) -> ensembles.Node:
    if node["is_leaf"]:
        return ensembles.Node(float(node["value"]))
    at, missing_left = int(node["feature_idx"]), bool(node["missing_go_to_left"])
    left, right = int(node["left"]), int(node["right"])
    if not node["is_categorical"]:
        threshold = float(node["num_threshold"])
        return ensembles.Node(threshold, order[at], left, right, missing_left)
    words = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
    named = np.array([bool(words[code // 32] >> (code % 32) & 1) for code in range(len(kinds[at]))])
    # a category that was never seen goes where a missing value goes: so the others are named
    if missing_left:
        named, left, right = ~named, right, left
    members = tuple(float(each) for each in kinds[at][named] if not np.isnan(each))
    return ensembles.Node(0.0, order[at], left, right, members=members)
