"""A user's own model: a PythonModel (pickled or as code), or a loader module logged beside it.

Answers as MLflow's pyfunc wrappers (mlflow.pyfunc.PyFuncModel and
mlflow.pyfunc.model._PythonModelPyfuncWrapper). Nothing of MLflow is installed: where the model
needs its names, handlers/loaders/stub comes first on sys.path.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pickle
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.loaders import _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from typing import TypeGuard

    import pandas as pd

_STUB = Path(__file__).resolve().parent / "stub"
_OPENERS = {"lzma": "lzma", "bzip2": "bz2", "gzip": "gzip"}


class _Predictor:
    """A loader module's object: parameters are passed only where it names them."""

    def __init__(self, predict: Callable[..., object]) -> None:
        self._predict = predict
        given = inspect.signature(predict).parameters.get("params")
        self._takes_params = given is not None and given.kind is not given.VAR_KEYWORD

    def predict(self, data: object, params: dict[str, object] | None) -> object:
        return self._predict(data, params=params) if self._takes_params else self._predict(data)


class _PythonModelPredictor:
    def __init__(self, model: Any, context: Any, *, unnamed_column: bool) -> None:
        from mlflow.models.signature import takes_context

        self._predict = model.predict
        self._hint = model.predict_type_hints.input
        self._before = (context,) if takes_context(model.predict) else ()
        self._takes_params = "params" in inspect.signature(model.predict).parameters
        self._unnamed_column = unnamed_column

    def predict(self, data: object, params: dict[str, object] | None) -> object:
        given = {"params": params} if self._takes_params else {}
        return self._predict(*self._before, self._convert_to_list(data), **given)

    def _convert_to_list(self, data: object) -> object:
        """A DataFrame as the list that an old-style type hint asks for."""
        if self._hint is None or not _is_frame(data):
            return data
        if typing.get_origin(self._hint) is not list:
            return data
        (element,) = typing.get_args(self._hint)
        words = [name for name, value in data.iloc[0].items() if isinstance(value, str)]
        if element is str:
            if not words:
                from mlflow.exceptions import MlflowException

                msg = "Expected model input to contain at least one string column"
                raise MlflowException.invalid_parameter_value(msg)
            return data[words[0]].tolist()
        if typing.get_origin(element) is dict and typing.get_args(element) == (str, str):
            return self._convert_to_records(data, words)
        return data

    def _convert_to_records(self, data: pd.DataFrame, words: list[object]) -> object:
        if self._unnamed_column and words:
            return data[[words[0]]].to_dict(orient="records")
        if self._unnamed_column and len(data.columns) == 1:
            return data.to_dict("list")[0]
        return data.to_dict(orient="records")


def _is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    """Without `_inputs`, which imports numpy: a model may do without."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def load(manifest: Manifest, folder: Path) -> _Predictor | _PythonModelPredictor:
    """Raises what the model's own code raises; AttributeError or ImportError for a missing name."""
    options = manifest.options
    # read where type hints are validated: conversions differ between serving and notebooks
    os.environ.setdefault("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    if options.get("stub"):
        _stand_in(manifest)
    root = _serialized.model_folder(manifest, folder)
    if module := options.get("loader_module"):
        data = root / options["data"] if options.get("data") else root
        given = [options["config"]] if options.get("config") else []
        made = importlib.import_module(module)._load_pyfunc(str(data), *given)  # noqa: SLF001 - MLflow's protocol
        return _Predictor(getattr(made, options.get("predict_fn", "predict")))
    return _python_model(manifest, root)


def _stand_in(manifest: Manifest) -> None:
    if str(_STUB) not in sys.path:
        sys.path.insert(0, str(_STUB))
    mlflow = importlib.import_module("mlflow")
    if manifest.mlflow_version:
        vars(mlflow)["__version__"] = manifest.mlflow_version


def _python_model(manifest: Manifest, root: Path) -> _PythonModelPredictor:
    from mlflow.pyfunc.model import PythonModelContext, _FunctionPythonModel

    options = manifest.options
    model: Any
    if "model_code" in options:
        model = _from_code(root / options["model_code"], options.get("config"))
        if not hasattr(model, "predict"):
            model = _FunctionPythonModel(model)
    else:
        model = _from_pickle(root / options["python_model"], options.get("compression"))
    artifacts = {name: str(root / path) for name, path in options.get("artifacts", {}).items()}
    context = PythonModelContext(artifacts, options.get("config"))
    model.load_context(context)
    inputs = (manifest.signature or {}).get("inputs") or []
    unnamed = len(inputs) == 1 and "name" not in inputs[0]
    return _PythonModelPredictor(model, context, unnamed_column=unnamed)


def _from_pickle(path: Path, compression: str | None) -> object:
    if compression:
        opened = importlib.import_module(_OPENERS[compression]).open(path, "rb")
    else:
        opened = path.open("rb")
    with opened as file:
        return pickle.load(file)  # noqa: S301 - the registered model is what is asked for


def _from_code(path: Path, config: object) -> object:
    """Run the model's file as a module of its own; the model is what it hands to set_model."""
    from mlflow.models import model, model_config

    spec = importlib.util.spec_from_file_location("code_model", path)
    if spec is None or spec.loader is None:
        msg = f"{path.name} cannot be run as a module"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules["code_model"] = module
    held = vars(model_config)["_LOGGED"]
    held[:] = ["" if config is None else config]
    try:
        spec.loader.exec_module(module)
    finally:
        held.clear()
    return model.take_model()
