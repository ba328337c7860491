"""scikit-learn's linear classifiers that skl2onnx has in float alone: labels by sums in double.

Reads `coef_`, `intercept_` and `classes_`
(https://scikit-learn.org/stable/modules/generated/sklearn.svm.LinearSVC.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from packager.engines.onnx.compilers import trees

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

_NAMES: Final = frozenset({"LinearSVC", "RidgeClassifier", "RidgeClassifierCV"})


def is_one(model: BaseEstimator) -> bool:
    """With one label a row: RidgeClassifier may have several."""
    kind = type(model)
    if kind.__name__ not in _NAMES or not kind.__module__.startswith("sklearn."):
        return False
    margins = np.atleast_2d(model.coef_).shape[0]
    return bool(margins == (1 if len(model.classes_) == 2 else len(model.classes_)))


def graph(model: BaseEstimator) -> onnx.ModelProto:
    """Output `label`: the class of the largest margin, or of the sign of the only one."""
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)).T
    shift = np.ravel(np.asarray(model.intercept_, dtype=np.float64))
    classes = trees.class_names(model.classes_)
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(weights), "weights"),
        numpy_helper.from_array(shift, "shift"),
        classes,
    ]
    nodes = [
        helper.make_node("MatMul", [trees.INPUT, "weights"], ["sums"]),
        helper.make_node("Add", ["sums", "shift"], ["margins"]),
    ]
    if weights.shape[1] == 1:
        constants.append(numpy_helper.from_array(np.zeros(1), "zero"))
        constants.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat"))
        nodes += [
            helper.make_node("Greater", ["margins", "zero"], ["above"]),
            helper.make_node("Cast", ["above"], ["counts"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["counts", "flat"], ["best"]),
        ]
    else:
        nodes.append(helper.make_node("ArgMax", ["margins"], ["best"], axis=1, keepdims=0))
    nodes.append(helper.make_node("Gather", ["classes", "best"], ["label"]))
    made = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(trees.INPUT, TensorProto.DOUBLE, [None, len(weights)])],
        [helper.make_tensor_value_info("label", classes.data_type, [None])],
        constants,
    )
    opsets = [helper.make_opsetid("", trees.OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=trees.IR_VERSION)
