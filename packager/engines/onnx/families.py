"""Choice of compiler for a model, by the package that its class is of."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from packager.engines.onnx.candidates import Family
from packager.engines.proof.inputs import RefusedError

FAMILIES: Final[Mapping[str, str]] = {
    "sklearn": "sklearn_models",
    "xgboost": "xgboost_models",
    "lightgbm": "lightgbm_models",
    "catboost": "catboost_models",
    "statsmodels": "statsmodels_models",
    "torch": "pytorch_models",
    "tensorflow": "tensorflow_models",
}
_BY_FLAVOR: Final[Mapping[str, str]] = {
    "mlflow.pytorch": "torch",
    "mlflow.tensorflow": "tensorflow",
    "mlflow.keras": "tensorflow",
}
"""Flavors whose models are of the author's classes, or of a package by another name."""


def family_of(model: object, loader_module: str = "") -> Family:
    """By flavor where the class is the author's own. Raises RefusedError for what none knows."""
    name = type(model).__module__.partition(".")[0]
    name = _BY_FLAVOR.get(loader_module, name)
    if name not in FAMILIES:
        raise RefusedError(f"no compiler for {type(model).__module__}.{type(model).__name__}")
    # only the model's own framework is sure to be installed
    family: Family = import_module(f"packager.engines.onnx.compilers.{FAMILIES[name]}").FAMILY
    return family
