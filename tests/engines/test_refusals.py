"""Graphs that cannot be had: too large, too new, of unknown operators, or not made at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf.message import EncodeError
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from packager.engines.onnx import graph_under_test as cases
from packager.engines.proof.inputs import RefusedError
from tests.engines import asking

TABLE = asking.table(400)
X = asking.matrix(TABLE)
_, NUMBERS = asking.targets(TABLE)


def test_a_graph_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "LARGEST_BYTES", 100)
    result = asking.proven(asking.case(LinearRegression().fit(X, NUMBERS)), tmp_path)
    assert "100 is the most" in result["refused"][0]


class Endless:
    """A graph that protobuf cannot write, as it is above its limit."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self.graph = graph.graph

    def SerializeToString(self, **_: Any) -> bytes:  # noqa: N802 - protobuf's own name
        raise EncodeError


def newer(graph: onnx.ModelProto) -> onnx.ModelProto:
    graph.opset_import[0].version = 99
    return graph


def unknown(graph: onnx.ModelProto) -> onnx.ModelProto:
    graph.graph.node[0].op_type = "NoSuchOperator"
    return graph


def crashing(graph: onnx.ModelProto) -> onnx.ModelProto:
    raise MemoryError(graph.graph.name)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (newer, "Opset 99"),
        (unknown, "NoSuchOperator"),
        (Endless, "a graph of more than 2147483647 bytes"),
        (crashing, "MemoryError"),
    ],
)
def test_a_graph_that_the_runtime_cannot_have_is_refused(
    change: Any, why: str, tmp_path: Path
) -> None:
    made = asking.with_graph(HistGradientBoostingRegressor(max_iter=2).fit(X, NUMBERS), change)
    assert why in asking.proven(made, tmp_path)["refused"][0]
    assert not (tmp_path / "model.onnx").exists()


def test_an_estimator_without_a_converter_is_refused(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), Odd()).fit(X, NUMBERS)
    result = asking.proven(asking.case(model, rows=50), tmp_path)
    assert all("Odd" in each for each in result["refused"])


class Odd(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, _table: Any, _numbers: Any) -> Odd:
        self.fitted_ = True
        return self

    def predict(self, table: Any) -> Any:
        return table[:, 0] + 1.0


def test_other_columns_than_the_model_has_are_refused(tmp_path: Path) -> None:
    model = LinearRegression().fit(X[:, :3], NUMBERS)
    with pytest.raises(RefusedError, match="refuses every row"):
        asking.case(model, rows=100)
