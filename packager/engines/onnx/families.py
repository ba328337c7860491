"""Which compiler a model goes to, by the package that its class is of."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from packager.engines.onnx.candidates import Family, RefusedError

FAMILIES: Final[Mapping[str, str]] = {
    "sklearn": "sklearn_models",
    "xgboost": "xgboost_models",
    "lightgbm": "lightgbm_models",
    "catboost": "catboost_models",
}


def family_of(model: Any) -> Family:
    """Raises RefusedError for a class that none of them knows."""
    name = type(model).__module__.partition(".")[0]
    if name not in FAMILIES:
        raise RefusedError(f"no compiler for {type(model).__module__}.{type(model).__name__}")
    # only the model's own framework is sure to be installed
    family: Family = import_module(f"packager.engines.onnx.{FAMILIES[name]}").FAMILY
    return family
