"""Keras 3 models on the backend that they were logged under.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.keras.load.KerasModelWrapper): arrays, or
a dict of them, to arrays. MLflow writes the backend down and leaves it to the environment to
choose it again; here the manifest does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from keras import Model

    Call = Callable[[object], npt.NDArray[np.generic]]


class _Predictor:
    def __init__(self, call: Call) -> None:
        self._call = call

    def predict(self, data: object, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        import keras

        if _inputs.is_frame(data):
            import pandas as pd

            return pd.DataFrame(self._call(data.values), index=data.index)
        return keras.ops.convert_to_numpy(self._call(data))


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises ValueError for a file that Keras cannot read."""
    options = manifest.options
    os.environ["KERAS_BACKEND"] = options["backend"]
    path = _serialized.model_folder(manifest, folder) / options["file"]
    if options["format"] == "exported":
        import tensorflow as tf

        return _Predictor(tf.saved_model.load(str(path)).serve)
    import keras

    return _Predictor(quiet(keras.saving.load_model(path)))


def quiet(model: Model) -> Call:
    """`model.predict` without the bar that it draws."""

    def predict(data: object) -> npt.NDArray[np.generic]:
        answer: npt.NDArray[np.generic] = model.predict(data, verbose=0)
        return answer

    return predict
