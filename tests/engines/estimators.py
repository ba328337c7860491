"""Every estimator of scikit-learn that skl2onnx claims, fitted to a small table."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, Final

import numpy as np
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import is_regressor
from sklearn.feature_selection import f_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from tests.engines import asking

_OTHER_INPUTS: Final = frozenset(
    {"ColumnTransformer", "CountVectorizer", "FeatureHasher", "HashingVectorizer"}
    | {"DictVectorizer", "KernelCenterer", "NearestNeighbors"}
    | {"TfidfTransformer", "TfidfVectorizer", "LabelBinarizer", "LabelEncoder", "FeatureUnion"}
)
"""Of texts, of dictionaries, of labels, or made of other transformers: no table of numbers."""
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    CLAIMED: Final = {
        name: kind for name, kind in all_estimators() if kind in sklearn_operator_name_map
    }
ESTIMATORS: Final = {name: kind for name, kind in CLAIMED.items() if hasattr(kind, "predict")}
TRANSFORMERS: Final = {
    name: kind
    for name, kind in CLAIMED.items()
    if name not in ESTIMATORS and name not in _OTHER_INPUTS
}
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "GaussianRandomProjection": {"n_components": 2},
    "GenericUnivariateSelect": {"mode": "k_best", "param": 2},
    "KBinsDiscretizer": {"encode": "onehot-dense"},
    "OneHotEncoder": {"handle_unknown": "ignore"},
    "OrdinalEncoder": {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    "QuantileTransformer": {"n_quantiles": 10},
    "RandomForestRegressor": {"n_estimators": 100},
    "SelectFdr": {"score_func": f_regression},
    "SelectFpr": {"score_func": f_regression},
    "SelectFwe": {"score_func": f_regression},
    "SelectPercentile": {"score_func": f_regression, "percentile": 50},
    "SparseRandomProjection": {"n_components": 2},
    "TargetEncoder": {"target_type": "continuous"},
}
"""Where the defaults do not fit four columns of numbers, or a graph is to be worth a float."""
TABLE: Final = asking.table(300)
CLASSES, NUMBERS = asking.targets(TABLE)


def fitted(name: str) -> Any:
    """An estimator, or a pipeline of a transformer and a linear regression."""
    matrix = asking.matrix(TABLE)
    if name in TRANSFORMERS:
        labelled = name == "NeighborhoodComponentsAnalysis"
        last = LogisticRegression() if labelled else LinearRegression()
        model = make_pipeline(make_estimator(TRANSFORMERS[name]), last)
        return model.fit(matrix, CLASSES if labelled else NUMBERS)
    model = make_estimator(ESTIMATORS[name])
    return model.fit(matrix, draw_answers(model))


def make_estimator(kind: Any) -> Any:
    """An instance with what it cannot do without."""
    regresses = "Regressor" in kind.__name__
    inner = LinearRegression() if regresses else LogisticRegression()
    tree = DecisionTreeRegressor if regresses else DecisionTreeClassifier
    given: dict[str, Any] = {
        "estimators": [("linear", inner), ("tree", tree(max_depth=3, random_state=0))],
        "param_grid": {"C": [1.0]},
        "param_distributions": {"C": [1.0]},
        "steps": [("linear", inner)],
        "random_state": 0,
        "n_estimators": 20,
    }
    if kind.__name__ == "SelectFromModel":
        inner = LinearRegression()
    parameters = inspect.signature(kind).parameters
    if "estimator" in parameters and parameters["estimator"].default is inspect.Parameter.empty:
        given["estimator"] = inner
    given = {name: value for name, value in given.items() if name in parameters}
    given |= _SETTINGS.get(kind.__name__, {})
    return kind(**({"n_iter": 1, **given} if "param_distributions" in given else given))


def draw_answers(model: Any) -> Any:
    name = type(model).__name__
    if "TunedThreshold" in name:
        return CLASSES > 1
    if "MultiTask" in name or "MultiOutputRegressor" in name or "RegressorChain" in name:
        return np.stack([NUMBERS, -NUMBERS], axis=1)
    if "MultiOutputClassifier" in name or "ClassifierChain" in name:
        return np.stack([CLASSES, CLASSES > 1], axis=1)
    return NUMBERS if is_regressor(model) else CLASSES
