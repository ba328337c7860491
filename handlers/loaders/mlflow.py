"""Any flavor through MLflow's own pyfunc: the last tier, with mlflow-skinny in the artifact."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.manifest import Manifest

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


class _Predictor:
    def __init__(self, model: PyFuncModel, predict_fn: str) -> None:
        # the request has been held against the signature: once is enough, and as strict;
        # where the example's form is restored after that, MLflow's own way is taken whole
        asked = getattr(model.metadata, "_is_type_hint_from_example", None)
        whole = asked is not None and asked()
        owner = model if whole else model._model_impl  # noqa: SLF001 - declared stable
        self._predict = getattr(owner, "predict" if whole else predict_fn)
        given = inspect.signature(self._predict).parameters.get("params")
        self._takes_params = given is not None and given.kind is not given.VAR_KEYWORD

    def predict(self, data: object, params: dict[str, object] | None) -> object:
        return self._predict(data, params=params) if self._takes_params else self._predict(data)


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises mlflow.exceptions.MlflowException, or what the model's own code raises."""
    # read where type hints are validated: conversions differ between serving and notebooks
    os.environ.setdefault("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(str(folder / manifest.model_path), suppress_warnings=True)
    return _Predictor(model, manifest.options.get("predict_fn", "predict"))
