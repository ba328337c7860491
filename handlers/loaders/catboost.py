"""CatBoost models in CatBoost's own formats.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.catboost._CatboostModelWrapper): `predict`
with the data alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handlers.loaders import _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from catboost import CatBoost


class _Predictor:
    def __init__(self, model: CatBoost) -> None:
        self._model = model

    def predict(self, data: object, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        return self._model.predict(data)


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises catboost.CatBoostError for a file that it cannot read."""
    import catboost

    options = manifest.options
    path = _serialized.model_folder(manifest, folder) / options["file"]
    model = getattr(catboost, options["model_class"])()
    model.load_model(str(path), options["format"])
    return _Predictor(model)
