"""Keras on TensorFlow, and TensorFlow's own modules, through tf2onnx.

https://github.com/onnx/tensorflow-onnx
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import onnx

from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.proof.inputs import Inputs, RefusedError

if TYPE_CHECKING:
    from keras import Model

_OPSET: Final = 18


def candidates(model: object, inputs: Inputs, method: str) -> Iterator[Candidate]:
    """One: a graph of the model's own operators in their own precision."""
    if method != "predict":
        raise RefusedError(f"a graph has no {method}")
    if not inputs.numeric:
        raise RefusedError("columns that are no numbers")
    if type(model).__module__.startswith("keras"):
        import keras  # noqa: PLC0415 - a module of TensorFlow's own needs none

        if keras.backend.backend() != "tensorflow":
            raise RefusedError(
                f"Keras on {keras.backend.backend()}: tf2onnx reads TensorFlow's graphs alone"
            )
    # columns come as MLflow hands them over: as the wider of their types
    dtype = inputs.dtype or "float64"
    yield Candidate(
        name="as it is",
        graph=lambda: _convert_model(model, (None, *inputs.shape), dtype),
        feeds=inputs.matrix(dtype),
        output=0,
    )


def _convert_model(model: Model, shape: tuple[int | None, ...], dtype: str) -> onnx.ModelProto:
    import tensorflow as tf  # noqa: PLC0415 - only where the model is TensorFlow's
    import tf2onnx  # noqa: PLC0415

    keras = type(model).__module__.startswith("keras")
    ask = (lambda x: model(x, training=False)) if keras else model
    spec = tf.TensorSpec(shape, dtype, name="X")
    made, _ = tf2onnx.convert.from_function(tf.function(ask), input_signature=[spec], opset=_OPSET)
    return made


def thresholds(_model: object) -> Mapping[int, npt.NDArray[np.generic]]:
    return {}


FAMILY: Final = Family(candidates=candidates, thresholds=thresholds)
