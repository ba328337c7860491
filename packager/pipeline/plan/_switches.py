"""MLflow's own switches against code in a model: what they refuse in MLflow they refuse here.

Sources, read in MLflow 3.17.2 and 3.18.0: mlflow/environment_variables.py, `_load_pyfunc` and
`_load_model` of each flavor, mlflow/utils/model_utils.py and mlflow/pyfunc/__init__.py.
MLFLOW_ALLOW_PICKLE_DESERIALIZATION (3.9 and later) refuses what is unpickled and, from 3.17 on,
skops too, whose list of trusted types is the model's own. MLFLOW_ALLOW_MODEL_CODE_EXECUTION (3.18
and later) refuses every model that is loaded as a python_function, which names its loader.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from packager.errors import ConfigurationError, PlanError
from packager.types import ResolvedModel

_PICKLES: Final = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
_CODE: Final = "MLFLOW_ALLOW_MODEL_CODE_EXECUTION"
_VALUES: Final[Mapping[str, bool]] = MappingProxyType(
    {"true": True, "1": True, "false": False, "0": False}
)
_ESTIMATORS: Final = frozenset({"sklearn", "lightgbm"})
"""Flavors whose models MLflow reads by mlflow.sklearn, which refuses every format."""
_UNGATED: Final = frozenset({"diffusers", "haystack", "llama_index", "openai"})
"""Flavors without a reader of ours whose loader unpickles nothing."""
_SAFE_TORCH: Final = (2, 10)
"""The first whose archives MLflow can look through: mlflow/pytorch/__init__.py."""
_WAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sklearn": "MLflow refuses each format of scikit-learn under it. Convert the estimator to "
        "ONNX (skl2onnx) and log that with mlflow.onnx",
        "lightgbm": "Log the Booster (`model.booster_`), which is text, with mlflow.lightgbm",
        "pyfunc": "Log the PythonModel as code, by its file's name: "
        "https://mlflow.org/docs/latest/ml/model/models-from-code/",
        "pytorch": 'Log it with serialization_format="pt2" under torch 2.10 or later',
        "tensorflow": "Log it without custom objects, registered with "
        "keras.saving.register_keras_serializable instead",
        "langchain": "Log it as code: https://mlflow.org/docs/latest/ml/model/models-from-code/",
        "dspy": "Log it with use_dspy_model_save=True",
    }
)
"""By flavor, what loads in MLflow all the same."""


def _list_refusals(model: ResolvedModel, unpickled: tuple[str, ...]) -> Iterator[str]:
    if not _is_on(_PICKLES):
        for why in _explain_pickle_ban(model, unpickled):
            yield f"{_PICKLES}=false, and {why}."
    if not _is_on(_CODE):
        yield (
            f"{_CODE}=false: MLflow 3.18 and later load no model as a python_function under it, "
            "since that names the module which loads it."
        )


def check_switches(model: ResolvedModel, unpickled: tuple[str, ...]) -> None:
    """Refuse what MLflow would not load; `unpickled` are the files that loading unpickles.

    Raises PlanError where a switch forbids this model, ConfigurationError for a value that MLflow
    does not take.
    """
    pickles, code = _is_on(_PICKLES), _is_on(_CODE)
    found = [*_list_refusals(model, unpickled)]
    if not found:
        return
    ways = [] if pickles or not code else [_WAYS[name] for name in _flavors(model) if name in _WAYS]
    names = " and ".join(name for name, on in ((_PICKLES, pickles), (_CODE, code)) if not on)
    raise PlanError(
        "Building a model loads it, and this is switched off:\n"
        + "".join(f"  - {line}\n" for line in found)
        + "".join(f"{way}. Or unset" for way in ways[:1])
        + f"{'' if ways else 'Unset'} {names} for this build, if you trust the model."
    )


def _is_on(name: str) -> bool:
    value = os.environ.get(name)
    if value is None:
        return True
    if value.lower() not in _VALUES:
        raise ConfigurationError(
            f"{name}={value!r}: MLflow takes true, false, 1 or 0, and loads nothing otherwise."
        )
    return _VALUES[value.lower()]


def _flavors(model: ResolvedModel) -> list[str]:
    """The flavor that loads the model, as the loader's module names it."""
    module = str(model.pyfunc.get("loader_module") or "")
    return [part for part in module.split(".") if part != "mlflow"][:1]


def _explain_pickle_ban(model: ResolvedModel, unpickled: tuple[str, ...]) -> Iterator[str]:
    """Explain why the pickle switch forbids this model; nothing where it does not."""
    flavor = "".join(_flavors(model))
    conf = model.flavors.get(flavor, {})
    if flavor in _ESTIMATORS and conf.get("serialization_format") == "skops":
        yield "MLflow 3.17 and later refuse skops too, whose trusted types the model itself lists"
    elif flavor == "pytorch" and (version := _old_torch(model)) is not None and not unpickled:
        yield f"MLflow looks through an archive of torch.export from torch 2.10 on, not {version}"
    elif unpickled == (".",):
        if not _is_unpickled_by_none(flavor, model):
            yield f"the loader of {model.pyfunc.get('loader_module')} may unpickle what it finds"
    elif unpickled:
        yield f"loading unpickles {', '.join(unpickled)}"


def _is_unpickled_by_none(flavor: str, model: ResolvedModel) -> bool:
    if flavor in _UNGATED:
        return True
    conf = {**model.pyfunc, **model.flavors.get(flavor, {})}
    if conf.get("model_code_path"):
        return True
    return flavor == "dspy" and not str(conf.get("model_path", ".pkl")).endswith(".pkl")


def _old_torch(model: ResolvedModel) -> str | None:
    """The version of torch that the model pins, where MLflow does not trust it."""
    for line in model.requirements.lines:
        found = re.match(r"torch\s*==\s*((\d+)\.(\d+)[^\s;]*)", line)
        if found and (int(found[2]), int(found[3])) < _SAFE_TORCH:
            return found[1]
    return None
