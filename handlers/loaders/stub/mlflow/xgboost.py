"""mlflow.xgboost.load_model for a folder."""

from __future__ import annotations

import importlib

from mlflow._local import flavor


def load_model(model_uri: str, dst_path: str | None = None) -> object:  # noqa: ARG001 - as MLflow's
    folder, conf = flavor(model_uri, "xgboost")
    module, _, name = conf.get("model_class", "xgboost.core.Booster").rpartition(".")
    model = getattr(importlib.import_module(module), name)()
    model.load_model(str(folder / conf["data"]))
    return model
