"""Keras 3 models on the backend that they were logged under.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.keras.load.KerasModelWrapper): arrays, or
a dict of them, to arrays. MLflow writes the backend down and leaves it to the environment to
choose it again; here the manifest does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest


class _Predictor:
    def __init__(self, call: Any) -> None:
        self._call = call

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:  # noqa: ARG002 - as MLflow
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


def quiet(model: Any) -> Any:
    """`model.predict` without the bar that it draws."""

    def predict(data: Any) -> Any:
        return model.predict(data, verbose=0)

    return predict
