"""The flavors that can be read without MLflow, and the one for all others.

MLflow serves a model through `python_function`, whose `loader_module` says which flavor does the
work; the same line decides here, so that what is built is what MLflow would have served.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from packager.errors import ModelFormatError, PlanError
from packager.models.flavors import (
    catboost,
    keras,
    lightgbm,
    onnx,
    prophet,
    python_function,
    pytorch,
    sentence_transformers,
    sklearn,
    spacy,
    statsmodels,
    tensorflow,
    transformers,
    unknown,
    xgboost,
)
from packager.models.flavors._refused import REFUSED
from packager.types import Flavor, ResolvedModel

FLAVORS: Final[Mapping[str, Flavor]] = MappingProxyType(
    {
        "sklearn": sklearn.FLAVOR,
        "xgboost": xgboost.FLAVOR,
        "lightgbm": lightgbm.FLAVOR,
        "onnx": onnx.FLAVOR,
        "catboost": catboost.FLAVOR,
        "statsmodels": statsmodels.FLAVOR,
        "prophet": prophet.FLAVOR,
        "spacy": spacy.FLAVOR,
        "pytorch": pytorch.FLAVOR,
        "keras": keras.FLAVOR,
        "tensorflow": tensorflow.FLAVOR,
        "sentence_transformers": sentence_transformers.FLAVOR,
        "transformers": transformers.FLAVOR,
        "python_function": python_function.FLAVOR,
        "unknown": unknown.FLAVOR,
    }
)

__all__ = ["FLAVORS", "choose"]


def choose(model: ResolvedModel) -> Flavor:
    """The flavor that serves this model, with the tiers that can apply to it.

    Raises ModelFormatError where the model has no `python_function`: MLflow cannot serve it;
    PlanError for a flavor that cannot run in a function at all.
    """
    module = str(model.pyfunc.get("loader_module") or "")
    if not module:
        raise ModelFormatError(
            "The model has no python_function flavor with a loader_module, so MLflow cannot serve "
            f"it (it has: {', '.join(sorted(model.flavors)) or 'no flavor'}). A scikit-learn "
            "object without a predict method is logged like this: log a model that predicts."
        )
    known = module.removeprefix("mlflow.")
    if module.startswith("mlflow.") and known in REFUSED:
        raise PlanError(f"A {known} model cannot be packaged: {REFUSED[known]}")
    if module.startswith("mlflow.") and known in model.flavors and known in FLAVORS:
        return transformers.narrow_flavor(model) if known == "transformers" else FLAVORS[known]
    if python_function.owns(module):
        return python_function.narrow_flavor(model)
    return FLAVORS["unknown"]
