"""XGBoost models in XGBoost's own formats (ubj, json, xgb).

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.xgboost._XGBModelWrapper): feature names
are validated and only those parameters are passed on that `predict` knows.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from types import ModuleType

    from xgboost import Booster


class _Predictor:
    def __init__(
        self, predict: Callable[..., object], accepts: frozenset[str] | None, booster: Booster
    ) -> None:
        self._predict = predict
        self._booster = booster
        self._accepts = accepts
        """None where `predict` takes any keyword."""

    def find_device(self) -> str:
        """By XGBoost's own configuration: what it found rather than what it was told."""
        return _read_device(self._booster)

    def predict(self, data: object, params: dict[str, object] | None) -> object:
        given = params or {}
        if self._accepts is not None:
            given = {key: value for key, value in given.items() if key in self._accepts}
        return self._predict(data, **given)


def _read_device(booster: Booster) -> str:
    """The device of a booster; XGBoost 1 knows a number of a GPU alone, -1 without one."""
    told = json.loads(booster.save_config())["learner"]["generic_param"]
    if "device" in told:
        return str(told["device"])
    number = int(told.get("gpu_id", -1))
    return "cpu" if number < 0 else f"cuda:{number}"


def _move(booster: Booster, device: str) -> None:
    """Have it predict on a GPU. XGBoost 1 is told how too, where it sees one: it would fail.

    https://xgboost.readthedocs.io/en/release_1.7.0/gpu/index.html
    """
    if "device" in json.loads(booster.save_config())["learner"]["generic_param"]:
        booster.set_param({"device": device})
        return
    booster.set_param({"gpu_id": device.partition(":")[2] or "0"})
    if _read_device(booster) != "cpu":
        booster.set_param({"predictor": "gpu_predictor"})


def _list_parameters(function: Callable[..., object]) -> frozenset[str] | None:
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD} for p in parameters):
        return None
    return frozenset(p.name for p in parameters)


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises xgboost.core.XGBoostError for a file that it cannot read, ValueError for columns."""
    import xgboost

    module, _, name = manifest.options["model_class"].rpartition(".")
    path = _serialized.model_folder(manifest, folder) / manifest.options["file"]
    model = getattr(importlib.import_module(module), name)()
    model.load_model(str(path))
    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    if (device := os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE", "")).startswith("cuda"):
        _move(booster, device)
    columns = _inputs.gets_columns(manifest)
    if isinstance(model, xgboost.Booster):
        return _booster(xgboost, model, manifest, columns=columns)
    if columns:
        _inputs.check_names(model.get_booster().feature_names, manifest)
        _inputs.accept_nameless_arrays()

    validate = {"validate_features": True} if isinstance(model, xgboost.XGBModel) else {}

    def predict(data: Any, **given: object) -> object:
        # XGBoost computes in single precision whatever it is given
        table = _inputs.stack_columns(data, "float32") if columns else data
        return model.predict(table, **validate, **given)

    return _Predictor(predict, _list_parameters(model.predict), booster)


def _booster(
    xgboost: ModuleType, model: Booster, manifest: Manifest, *, columns: bool
) -> _Predictor:
    names = _inputs.column_names(manifest)

    def predict(data: Any, **given: object) -> object:
        if columns:
            matrix = xgboost.DMatrix(_inputs.stack_columns(data, "float32"), feature_names=names)
        else:
            matrix = xgboost.DMatrix(data)
        return model.predict(matrix, validate_features=True, **given)

    return _Predictor(predict, _list_parameters(model.predict), model)
