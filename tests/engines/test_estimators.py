"""Every estimator of scikit-learn that skl2onnx claims: compiled and right, or refused."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from handlers.loaders import compiled
from packager.engines.proof import parity
from packager.engines.proof.inputs import RefusedError
from tests.engines import asking
from tests.engines.estimators import ESTIMATORS, TRANSFORMERS, fitted

pytestmark = pytest.mark.slow

REFUSED = frozenset(
    {
        "GaussianProcessClassifier",  # skl2onnx has it for two classes alone
        "IsolationForest",  # mixed precisions in skl2onnx's graph; in float some labels differ
        "KMeans",  # other clusters for values near the largest double
        "KNeighborsRegressor",  # the same
        "KBinsDiscretizer",  # mixed precisions in skl2onnx's graph; in float other bins at an edge
        "KNNImputer",  # in float alone, where values near the largest double are infinite
        "KNeighborsTransformer",  # other distances for values from 1e30 on
        "LocalOutlierFactor",  # has no predict unless it looks for novelties
        "MiniBatchKMeans",  # as KMeans
        "OneVsRestClassifier",  # other labels for values near the largest double
        "OneHotEncoder",  # skl2onnx has words and whole numbers alone
        "PolynomialFeatures",  # mixed precisions in skl2onnx's graph; in float no squares of 1e30
        "PowerTransformer",  # mixed precisions in skl2onnx's graph; in float not near enough
        "RFE",  # skl2onnx makes a graph that fails on every row
        "RFECV",
        "RadiusNeighborsClassifier",  # refuses in the graph what scikit-learn answers
        "RadiusNeighborsRegressor",
        "RandomTreesEmbedding",  # answers with a sparse matrix
        "TunedThresholdClassifierCV",  # skl2onnx leaves the tuned threshold out
        "VotingClassifier",  # skl2onnx asks for flatten_transform=False
    }
)
FRESH = asking.table(2000, seed=7)


@pytest.mark.parametrize("name", [*ESTIMATORS, *TRANSFORMERS])
@pytest.mark.filterwarnings("ignore")
def test_an_estimator_is_right_or_refused(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    try:
        result = asking.proven(asking.case(model, rows=500), tmp_path)
    except RefusedError as error:
        result = {"refused": [str(error)]}
    assert ("refused" in result) is (name in REFUSED), result
    if "refused" in result:
        assert result["refused"]
        return
    taken = [each["name"] for each in result["evidence"]["candidates"] if each.get("taken")]
    assert ("float with exact thresholds, trees" in taken) is (name == "RandomForestRegressor")
    session = compiled.session(onnxruntime, str(tmp_path / "model.onnx"), {})
    ours = compiled.Compiled(session, result["options"])
    batches = parity.record_batches(
        "fresh", FRESH, lambda table: model.predict(asking.matrix(table))
    )
    done = parity.compare_batches(
        batches,
        lambda table: ours.predict(table, None),
        rtol=1e-5,
        atol=1e-6,
        labels=batches[0].expected is not None and batches[0].expected.dtype.kind != "f",
    )
    assert done.wrong == 0, done.shown
    assert done.rows + done.refusals >= 1000
