"""mlflow.lightgbm.load_model for a folder."""

from __future__ import annotations

from mlflow._local import flavor
from mlflow.sklearn import _read


def load_model(model_uri: str, dst_path: str | None = None) -> object:  # noqa: ARG001 - as MLflow's
    folder, conf = flavor(model_uri, "lightgbm")
    path = folder / conf["data"]
    if conf.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster":
        import lightgbm

        return lightgbm.Booster(model_file=str(path))
    return _read(path, conf.get("serialization_format", "cloudpickle"), conf)
