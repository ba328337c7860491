"""Every estimator of scikit-learn that skl2onnx claims: compiled and right, or refused."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import is_regressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from handlers.loaders import compiled
from packager.engines.onnx import judge
from packager.engines.onnx.candidates import RefusedError
from tests.engines import asking

pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ESTIMATORS = {
        name: kind
        for name, kind in all_estimators()
        if kind in sklearn_operator_name_map and hasattr(kind, "predict")
    }
REFUSED = frozenset(
    {
        "BaggingClassifier",  # trees inside, in double: skl2onnx makes a graph that is invalid
        "BaggingRegressor",
        "GaussianProcessClassifier",  # skl2onnx has it for two classes alone
        "IsolationForest",  # mixed precisions in skl2onnx's graph; in float some labels differ
        "KMeans",  # other clusters for values near the largest double
        "KNeighborsRegressor",  # the same
        "LinearSVC",  # not in double; in float other labels for the largest doubles
        "LocalOutlierFactor",  # has no predict unless it looks for novelties
        "MiniBatchKMeans",  # as KMeans
        "OneVsRestClassifier",  # other labels for values near the largest double
        "RFE",  # skl2onnx makes a graph that fails on every row
        "RFECV",
        "RadiusNeighborsClassifier",  # refuses in the graph what scikit-learn answers
        "RadiusNeighborsRegressor",
        "RidgeClassifier",  # not in double; in float other labels for the largest doubles
        "RidgeClassifierCV",
        "TunedThresholdClassifierCV",  # skl2onnx leaves the tuned threshold out
        "VotingClassifier",  # skl2onnx asks for flatten_transform=False
    }
)
TABLE = asking.table(300)
CLASSES, NUMBERS = asking.targets(TABLE)
FRESH = asking.table(2000, seed=7)


def made(kind: Any) -> Any:
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
    }
    parameters = inspect.signature(kind).parameters
    if "estimator" in parameters and parameters["estimator"].default is inspect.Parameter.empty:
        given["estimator"] = inner
    given = {name: value for name, value in given.items() if name in parameters}
    return kind(**({"n_iter": 1, **given} if "param_distributions" in given else given))


def answers(model: Any) -> Any:
    name = type(model).__name__
    if "TunedThreshold" in name:
        return CLASSES > 1
    if "MultiTask" in name or "MultiOutputRegressor" in name or "RegressorChain" in name:
        return np.stack([NUMBERS, -NUMBERS], axis=1)
    if "MultiOutputClassifier" in name or "ClassifierChain" in name:
        return np.stack([CLASSES, CLASSES > 1], axis=1)
    return NUMBERS if is_regressor(model) else CLASSES


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.filterwarnings("ignore")
def test_an_estimator_is_right_or_refused(name: str, tmp_path: Path) -> None:
    model = made(ESTIMATORS[name])
    model.fit(asking.matrix(TABLE), answers(model))
    try:
        result = asking.proven(asking.case(model, rows=500), tmp_path)
    except RefusedError as error:
        result = {"refused": [str(error)]}
    assert ("refused" in result) is (name in REFUSED), result
    if "refused" in result:
        assert result["refused"]
        return
    session = compiled.session(onnxruntime, str(tmp_path / "model.onnx"), {})
    ours = compiled.Compiled(session, result["options"])
    batches = judge.recorded("fresh", FRESH, lambda table: model.predict(asking.matrix(table)))
    done = judge.compared(
        batches,
        lambda table: ours.predict(table, None),
        rtol=1e-5,
        atol=1e-6,
        labels=batches[0].expected is not None and batches[0].expected.dtype.kind != "f",
    )
    assert done.wrong == 0, done.shown
    assert done.rows + done.refusals >= 1000
