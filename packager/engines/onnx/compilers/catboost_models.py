"""CatBoost through its own exporter: models of numbers alone.

https://catboost.ai/docs/en/concepts/apply-onnx-ml
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import onnx

from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.proof.inputs import Inputs, RefusedError

if TYPE_CHECKING:
    from catboost import CatBoost


def candidates(model: CatBoost, inputs: Inputs, method: str) -> Iterator[Candidate]:
    if method not in {"predict", "predict_proba"}:
        raise RefusedError(f"a graph has no {method}")
    if len(model.get_cat_feature_indices()) > 0:
        raise RefusedError("columns of categories")
    yield Candidate(
        name="float, trees",
        graph=lambda: _export_graph(model),
        feeds=inputs.matrix("float32", "features"),
        output=int(method == "predict_proba"),
    )


def _export_graph(model: CatBoost) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        graph = onnx.load(str(path))
    return _without_maps(graph)


def _without_maps(model: onnx.ModelProto) -> onnx.ModelProto:
    """Probabilities as a matrix: the exporter makes a dictionary of each row."""
    graph = model.graph
    for node in [each for each in graph.node if each.op_type == "ZipMap"]:
        (output,) = [each for each in graph.output if each.name == node.output[0]]
        output.CopyFrom(
            onnx.helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, [None, None])
        )
        graph.node.remove(node)
    return model


def thresholds(model: CatBoost) -> Mapping[int, npt.NDArray[np.generic]]:
    borders = model.get_borders() if hasattr(model, "get_borders") else model._get_borders()  # noqa: SLF001
    return {int(at): np.array(sorted(each)) for at, each in borders.items() if len(each)}


FAMILY: Final = Family(candidates=candidates, thresholds=thresholds)
