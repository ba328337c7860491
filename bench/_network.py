"""A small transformer over four tokens a row, as an ONNX graph: weights by far outweigh a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench._shapes import CLASSES, FEATURES, INNER, TOKENS, WIDTH


class _Graph:
    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        values = self._random.normal(size=shape) / np.sqrt(shape[0])
        self.weights.append(numpy_helper.from_array(values.astype("float32"), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, value: str, inputs: int, outputs: int) -> str:
        return self.node("MatMul", value, self.weight(inputs, outputs))


def write(path: Path, *, layers: int = 1, seed: int = 0) -> Path:
    """Input `x` of shape (rows, 4, 16), output `y` of shape (rows, 3)."""
    graph = _Graph(seed)
    value = graph.linear("x", FEATURES, WIDTH)
    for _ in range(layers):
        query, key, content = (graph.linear(value, WIDTH, WIDTH) for _ in range(3))
        turned = graph.node("Transpose", key, perm=[0, 2, 1])
        scores = graph.node("Softmax", graph.node("MatMul", query, turned), axis=-1)
        attended = graph.linear(graph.node("MatMul", scores, content), WIDTH, WIDTH)
        value = graph.node("Tanh", graph.node("Add", value, attended))
        inner = graph.node("Relu", graph.linear(value, WIDTH, INNER))
        value = graph.node("Tanh", graph.node("Add", value, graph.linear(inner, INNER, WIDTH)))
    mean = graph.node("ReduceMean", value, axes=[1], keepdims=0)
    graph.node("Softmax", graph.linear(mean, WIDTH, CLASSES), axis=-1)
    graph.nodes[-1].output[0] = "y"
    made = helper.make_graph(
        graph.nodes,
        "transformer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", TOKENS, FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])],
        graph.weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
