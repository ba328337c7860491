"""Prophet models, from Prophet's own JSON.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.prophet._ProphetModelWrapper): `predict`
with the data alone. The bounds of a forecast are drawn at random, unless it was fitted with
`uncertainty_samples=0`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.loaders import _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from prophet import Prophet


class _Predictor:
    def __init__(self, model: Prophet) -> None:
        self._model = model

    def predict(self, data: object, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        return self._model.predict(data)


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises ValueError for a file that is no JSON, KeyError for one that is no Prophet model."""
    # it says at every start that plotting will not work, which is meant
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    from prophet.serialize import model_from_json

    path = _serialized.model_folder(manifest, folder) / manifest.options["file"]
    with path.open(encoding="utf-8") as file:
        return _Predictor(model_from_json(json.load(file)))
