"""scikit-learn estimators and pipelines: skops, pickle or cloudpickle.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.sklearn._SklearnModelWrapper): the method
named by `predict_fn` is called with the data alone, parameters are ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest


class _Predictor:
    def __init__(self, estimator: object, predict_fn: str, *, columns: bool) -> None:
        self._predict = getattr(estimator, predict_fn)
        self._columns = columns

    def predict(self, data: Any, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        return self._predict(_inputs.stack_columns(data) if self._columns else data)


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises ValueError where columns cannot be handed over without a DataFrame."""
    options = manifest.options
    path = _serialized.model_folder(manifest, folder) / options["file"]
    estimator = _serialized.load(path, options["format"], options.get("trusted", ()))
    columns = _inputs.gets_columns(manifest)
    if columns:
        _inputs.check_names(getattr(estimator, "feature_names_in_", None), manifest)
        _inputs.accept_nameless_arrays()
    return _Predictor(estimator, options.get("predict_fn", "predict"), columns=columns)
