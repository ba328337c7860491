"""mlflow.sklearn.load_model for a folder."""

from __future__ import annotations

import pickle
from pathlib import Path

from mlflow._local import flavor


def load_model(model_uri: str, dst_path: str | None = None) -> object:  # noqa: ARG001 - as MLflow's
    folder, conf = flavor(model_uri, "sklearn")
    path = folder / conf["pickled_model"]
    return _read(path, conf.get("serialization_format", "pickle"), conf)


def _read(path: Path, serialization: str, conf: dict[str, object]) -> object:
    if serialization == "skops":
        import skops.io

        return skops.io.load(path, trusted=conf.get("skops_trusted_types"))
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the author's own model
