"""scikit-learn's own trees in double: single ones, forests, bags, gradient boosting.

They round their inputs to float and compare them with thresholds in double; so does the graph.
Reads `tree_` (https://scikit-learn.org/stable/auto_examples/tree/plot_unveil_tree_structure.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from packager.engines.onnx.compilers import ensembles
from packager.engines.proof.inputs import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from sklearn.base import BaseEstimator
    from sklearn.tree._tree import Tree

_SINGLE: Final = frozenset(
    {"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"}
)
_FORESTS: Final = frozenset(
    {
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
    }
)
_BAGS: Final = frozenset({"BaggingClassifier", "BaggingRegressor"})
_BOOSTED: Final = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
_LINKS: Final[dict[str, tuple[ensembles.Link, float]]] = {
    "log_loss": ("sigmoid", 1.0),
    "exponential": ("sigmoid", 2.0),
}


def is_one(model: BaseEstimator) -> bool:
    kind = type(model)
    if not kind.__module__.startswith("sklearn."):
        return False
    if kind.__name__ in _BAGS:
        return all(type(part).__name__ in _SINGLE for part in model.estimators_)
    return kind.__name__ in _SINGLE | _FORESTS | _BOOSTED


def read(model: BaseEstimator) -> ensembles.Ensemble:
    """Raises RefusedError for several outputs and for boosting that starts from another model."""
    if type(model).__name__ in _BOOSTED:
        return _read_boosting(model)
    parts = list(getattr(model, "estimators_", [model]))
    if parts[0].n_outputs_ != 1:
        raise RefusedError("trees with several outputs")
    classes = tuple(getattr(model, "classes_", ()))
    if classes and any(len(part.classes_) != len(classes) for part in parts):
        raise RefusedError("a tree that has not seen every class")
    columns = getattr(model, "estimators_features_", [range(model.n_features_in_)] * len(parts))
    found = [
        each
        for part, features in zip(parts, columns, strict=True)
        for each in _trees(part.tree_, bool(classes), features)
    ]
    return ensembles.Ensemble(
        trees=tuple(found),
        features=model.n_features_in_,
        base=(0.0,) * max(1, len(classes)),
        less="BRANCH_LEQ",
        dtype=np.float64,
        narrow=True,
        divisor=float(len(parts)),
        classes=classes,
    )


def _read_boosting(model: BaseEstimator) -> ensembles.Ensemble:
    if model.init is not None and model.init != "zero":
        raise RefusedError("boosting that starts from another model")
    classes = tuple(getattr(model, "classes_", ()))
    link, scale = _LINKS[model.loss] if classes else ("identity", 1.0)
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))  # noqa: SLF001
    found = [
        ensembles.Tree(
            margin, tuple(_nodes(part.tree_, part.tree_.value[:, 0, 0] * model.learning_rate))
        )
        for stage in model.estimators_
        for margin, part in enumerate(stage)
    ]
    return ensembles.Ensemble(
        trees=tuple(found),
        features=model.n_features_in_,
        base=tuple(np.asarray(start, dtype=np.float64).ravel().tolist()),
        less="BRANCH_LEQ",
        dtype=np.float64,
        narrow=True,
        link="softmax" if len(classes) > 2 else link,
        scale=scale,
        classes=classes,
    )


def _trees(
    tree: Tree,
    classifies: bool,  # noqa: FBT001 - of one caller
    features: Sequence[int] | None,
) -> Iterator[ensembles.Tree]:
    """One tree for each class: a leaf of a graph adds to one number alone."""
    values = tree.value[:, 0, :]
    if classifies:
        # counts before scikit-learn 1.3, shares since
        values = values / values.sum(axis=1, keepdims=True)
    for target in range(values.shape[1]):
        yield ensembles.Tree(target, tuple(_nodes(tree, values[:, target], features)))


def _nodes(
    tree: Tree, values: npt.NDArray[np.float64], features: Sequence[int] | None = None
) -> Iterator[ensembles.Node]:
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count, dtype=np.uint8))
    for at, left in enumerate(tree.children_left):
        if left == -1:
            yield ensembles.Node(float(values[at]))
        else:
            yield ensembles.Node(
                float(tree.threshold[at]),
                int(tree.feature[at] if features is None else features[tree.feature[at]]),
                int(left),
                int(tree.children_right[at]),
                bool(missing[at]),
            )
