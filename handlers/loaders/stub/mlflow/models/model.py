"""Place where `set_model` puts the model, for the loader to take."""

from __future__ import annotations

from typing import Any

from mlflow.exceptions import MlflowException

_HELD: list[Any] = []


def set_model(model: object) -> None:
    """Name the model of this file: a PythonModel or a function."""
    from mlflow.pyfunc.model import PythonModel

    if not (isinstance(model, PythonModel) or callable(model)):
        msg = "the stand-in for mlflow takes a PythonModel or a function in set_model"
        raise MlflowException(msg)
    _HELD[:] = [model]


def take_model() -> object:
    """The model that was set; raises MlflowException where none was."""
    if not _HELD:
        msg = "the model's code does not call mlflow.models.set_model"
        raise MlflowException(msg)
    return _HELD.pop()
