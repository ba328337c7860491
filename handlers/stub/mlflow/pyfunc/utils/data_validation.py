"""A `predict` that holds its input against its type hint, as MLflow serves it.

Rules: https://mlflow.org/docs/latest/ml/model/python_model/#type-hints-in-pythonmodel. Only
`list[...]` is validated; tables, arrays and no hint at all pass as they are.
"""

from __future__ import annotations

import base64
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from mlflow.exceptions import MlflowException
from mlflow.models.signature import hints_of, takes_context

_SCALARS = (int, str, bool, float, bytes, datetime, date)


class FuncInfo(NamedTuple):
    """As pickles of functions carry it."""

    input_type_hint: Any
    input_param_name: str


def validated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its input validated first; as it is where it was wrapped before."""
    if getattr(function, "_is_pyfunc", False):
        return function
    parameters = inspect.signature(function).parameters
    position = 1 if takes_context(function) else 0
    hint = hints_of(function, position).input
    named = [name for name in parameters if name != "self"]
    index = position + ("self" in parameters)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if typing.get_origin(hint) is list:
            args, kwargs = _validate_model_input(args, kwargs, index, hint, named[position])
        return function(*args, **kwargs)

    wrapper.__dict__["_is_pyfunc"] = True
    return wrapper


pyfunc = validated


def _validate_model_input(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    model_input_index_in_sig: int,
    type_hint: Any,
    model_input_param_name: str,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs) with the input validated; pickled functions call it by this name."""
    if model_input_param_name in kwargs:
        value = validate(_from_frame(kwargs[model_input_param_name], type_hint), type_hint)
        return args, {**kwargs, model_input_param_name: value}
    if len(args) <= model_input_index_in_sig:
        return args, kwargs
    at = model_input_index_in_sig
    value = validate(_from_frame(args[at], type_hint), type_hint)
    return (*args[:at], value, *args[at + 1 :]), kwargs


def _from_frame(data: Any, hint: Any) -> Any:
    """A DataFrame as the list that the hint asks for."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(data, pandas.DataFrame) or hint is pandas.DataFrame:
        return data
    (element,) = typing.get_args(hint)
    if (element is dict or _is_pydantic(element)) and list(data.columns) != [0]:
        return data.to_dict(orient="records")
    return data.iloc[:, 0].tolist()


def _is_pydantic(hint: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def validate(data: Any, hint: Any) -> Any:
    """The data as the hint has it. Raises MlflowException, INVALID_PARAMETER_VALUE."""
    if hint is Any:
        return data
    if _is_pydantic(hint):
        return _as_pydantic(data, hint)
    if hint in _SCALARS:
        made = _parsed(data, hint)
        if isinstance(made, hint):
            return made
        raise _refused(f"Expected type {hint.__name__}, but got {type(data).__name__}")
    return _container(data, hint)


def _container(data: Any, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        if not isinstance(data, list):
            raise _refused(f"Expected list, but got {type(data).__name__}")
        return [validate(element, args[0]) for element in data]
    if origin is dict:
        if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
            raise _refused(f"Expected dict with text keys, but got {type(data).__name__}")
        return {key: validate(value, args[1]) for key, value in data.items()}
    if origin in {typing.Union, types.UnionType}:
        left = [arg for arg in args if arg is not type(None)]
        if data is None and len(left) < len(args):
            return None
        return validate(data, left[0]) if len(left) == 1 and len(args) == 2 else data
    raise _refused(f"Unsupported type hint {hint}")


def _parsed(data: Any, hint: Any) -> Any:
    """What JSON has no type for comes as text: bytes in base64, times in ISO 8601."""
    if not isinstance(data, str):
        return data
    if hint is bytes:
        return base64.decodebytes(data.encode())
    if hint is datetime:
        try:
            return datetime.fromisoformat(data)
        except ValueError:
            raise _refused("Expected a time in ISO 8601") from None
    return data


def _as_pydantic(data: Any, hint: Any) -> Any:
    if isinstance(data, hint):
        return data
    if not isinstance(data, dict):
        raise _refused(f"Expected an object for {hint.__name__}, but got {type(data).__name__}")
    try:
        return hint(**data)
    except ValueError as error:
        raise _refused(f"Data doesn't match type hint {hint.__name__}") from error


def _refused(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)
