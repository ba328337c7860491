"""TensorFlow: Keras models, and tf.Modules saved as a SavedModel.

Answers as MLflow's pyfunc wrappers of the flavor (mlflow.tensorflow._KerasModelWrapper and
_TF2ModuleWrapper).
"""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.loaders import _inputs, _serialized
from handlers.loaders.keras import quiet
from handlers.manifest import Manifest

if TYPE_CHECKING:
    import tensorflow as tf
    from keras import Model


class _Keras:
    def __init__(self, model: Model) -> None:
        self._call = quiet(model)

    def predict(self, data: object, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        if _inputs.is_frame(data):
            import pandas as pd

            return pd.DataFrame(self._call(data.values), index=data.index)
        return self._call(data)


class _Module:
    def __init__(self, module: tf.Module) -> None:
        self._module = module

    def predict(self, data: object, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        import numpy as np
        import tensorflow as tf

        if not isinstance(data, (np.ndarray, list)):
            msg = f"the module takes an array or a list, not {type(data).__name__}"
            raise TypeError(msg)
        answer = self._module(tf.convert_to_tensor(data))
        return answer.numpy() if isinstance(answer, tf.Tensor) else answer


def load(manifest: Manifest, folder: Path) -> _Keras | _Module:
    """Raises OSError or ValueError for what TensorFlow cannot read; a pickle runs what it names."""
    import tensorflow as tf

    options = manifest.options
    root = _serialized.model_folder(manifest, folder)
    path = root / options["file"]
    if options["format"] == "module":
        return _Module(tf.saved_model.load(str(path)))
    name = options["keras_module"]
    models = importlib.import_module(f"{name}.models") if name else tf.keras.models
    custom: dict[str, Any] = {}
    for file in options["custom_objects"]:
        # what was registered for all models yields to what this one was logged with
        with (root / file).open("rb") as opened:
            custom = {**pickle.load(opened), **custom}  # noqa: S301 - the registered model's own
    return _Keras(models.load_model(path, custom_objects=custom, compile=bool(options["compiled"])))
