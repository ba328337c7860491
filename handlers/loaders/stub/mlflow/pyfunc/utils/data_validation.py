"""A `predict` that holds its input against its type hint, as MLflow serves it.

Rules: https://mlflow.org/docs/latest/ml/model/python_model/#type-hints-in-pythonmodel. Only
`list[...]` of what has a schema is validated; tables, arrays, any other hint and none at all pass
as they are. What is refused, and in which words, is compared with MLflow's own in a test.
"""

from __future__ import annotations

import base64
import functools
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from mlflow.exceptions import MlflowException
from mlflow.models.signature import hints_of, takes_context

_SCALARS = (int, str, bool, float, bytes, datetime)
_UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
_NAMED = 5
"""Elements of a list that are refused by name."""


class FuncInfo(NamedTuple):
    """As pickles of functions carry it."""

    input_type_hint: Any
    input_param_name: str


def validate_inputs(function: Callable[..., object]) -> Callable[..., object]:
    """The function, its input validated first; as it is where it was wrapped before."""
    if getattr(function, "_is_pyfunc", False):
        return function
    parameters = inspect.signature(function).parameters
    position = 1 if takes_context(function) else 0
    hint = hints_of(function, position).input
    named = [name for name in parameters if name != "self"]
    index = position + ("self" in parameters)
    checks = typing.get_origin(hint) is list and _has_schema(hint)

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        if checks:
            args, kwargs = _validate(args, kwargs, index, hint, named[position])
        return function(*args, **kwargs)

    wrapper.__dict__["_is_pyfunc"] = True
    return wrapper


pyfunc = validate_inputs


def _validate(
    args: tuple[object, ...], kwargs: dict[str, object], index: int, hint: object, name: str
) -> tuple[tuple[object, ...], dict[str, object]]:
    """As `_validate_model_input`; Python's own refusals have a code too, as in MLflow's wrapper."""
    try:
        return _validate_model_input(args, kwargs, index, hint, name)
    except MlflowException:
        raise
    except Exception as error:  # whatever a conversion raises
        msg = f"Failed to validate the input data against the type hint `{hint}`. Error: {error}"
        raise MlflowException(msg) from error


def _validate_model_input(
    args: tuple[object, ...],
    kwargs: dict[str, object],
    model_input_index_in_sig: int,
    type_hint: object,
    model_input_param_name: str,
) -> tuple[tuple[object, ...], dict[str, object]]:
    """(args, kwargs) with the input validated; pickled functions call it by this name."""
    if model_input_param_name in kwargs:
        value = validate(_from_frame(kwargs[model_input_param_name], type_hint), type_hint)
        return args, {**kwargs, model_input_param_name: value}
    if len(args) <= model_input_index_in_sig:
        return args, kwargs
    at = model_input_index_in_sig
    value = validate(_from_frame(args[at], type_hint), type_hint)
    return (*args[:at], value, *args[at + 1 :]), kwargs


def _has_schema(hint: Any) -> bool:
    """Tell whether MLflow infers a schema from the hint: it lets others pass."""
    if hint is Any or hint in _SCALARS:
        return True
    if _is_pydantic(hint):
        return all(_has_schema(field.annotation) for field in hint.model_fields.values())
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return len(args) == 1 and _has_schema(args[0])
    if origin is dict:
        return len(args) == 2 and args[0] is str and _has_schema(args[1])
    return origin in _UNIONS and _has_union_schema(args)


def _has_union_schema(args: tuple[object, ...]) -> bool:
    left = [arg for arg in args if arg is not type(None)]
    return len(left) > 1 or (len(args) > len(left) and _has_schema(left[0]))


def _from_frame(data: object, hint: object) -> object:
    """A DataFrame as the list that the hint asks for."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(data, pandas.DataFrame) or hint is pandas.DataFrame:
        return data
    (element,) = typing.get_args(hint)
    if (element is dict or _is_pydantic(element)) and list(data.columns) != [0]:
        return _without_arrays(data.to_dict(orient="records"))
    return _without_arrays(data.iloc[:, 0].tolist())


def _without_arrays(data: Any) -> object:
    """Arrays as lists, and NaN as null: what is asked by way of a table comes as such."""
    if type(data).__name__ == "ndarray":
        data = data.tolist()
    if isinstance(data, list):
        return [_without_arrays(each) for each in data]
    if isinstance(data, dict):
        return {key: _without_arrays(value) for key, value in data.items()}
    return None if isinstance(data, float) and math.isnan(data) else data


def _is_pydantic(hint: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(hint, type) or typing.get_origin(hint) is not None:
        return False
    return issubclass(hint, pydantic.BaseModel)


def validate(data: object, hint: object) -> object:
    """The data as the hint has it. Raises MlflowException, INVALID_PARAMETER_VALUE."""
    if _is_pydantic(hint):
        return _as_pydantic(data, hint)
    if hint is Any:
        return data
    if hint in _SCALARS:
        made = _parse_value(data, hint)
        if isinstance(made, hint):
            return made
        raise _make_refusal(f"Expected type {_show_hint(hint)}, but got {type(made).__name__}")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return _as_list(data, args[0])
    if origin is dict:
        return _as_dict(data, args[1])
    if origin in _UNIONS:
        if data is not None and type(None) in args and len(args) == 2:
            return validate(data, next(arg for arg in args if arg is not type(None)))
        return data
    raise _make_refusal(f"Unsupported type hint `{_show_hint(hint)}`.")


def _as_list(data: object, element: object) -> list[object]:
    if not isinstance(data, list):
        raise _make_refusal(f"Expected list, but got {type(data).__name__}")
    made, wrong = [], []
    for each in data:
        try:
            made.append(validate(each, element))
        except MlflowException as error:
            wrong.append((str(each), error.message))
    if wrong:
        named = f"{wrong[:_NAMED]} ... (truncated)" if len(wrong) > _NAMED else f"{wrong}"
        hint = f"list[{_show_hint(element)}]"
        raise _make_refusal(
            f"Failed to validate data against type hint `{hint}`, invalid elements: {named}"
        )
    return made


def _as_dict(data: object, element: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise _make_refusal(f"Expected dict, but got {type(data).__name__}")
    made: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for key, value in data.items():
        if not isinstance(key, str):
            wrong[str(key)] = f"Key must be a string, got {type(key).__name__}"
            continue
        try:
            made[key] = validate(value, element)
        except MlflowException as error:
            wrong[key] = error.message
    if wrong:
        hint = f"dict[str, {_show_hint(element)}]"
        raise _make_refusal(
            f"Failed to validate data against type hint `{hint}`, invalid elements: {wrong}"
        )
    return made


def _parse_value(data: object, hint: object) -> object:
    """Parse what JSON has no type for: bytes in base64, times in ISO 8601."""
    if not isinstance(data, str):
        return data
    if hint is bytes:
        return base64.decodebytes(data.encode())
    return datetime.fromisoformat(data) if hint is datetime else data


def _as_pydantic(data: Any, hint: Any) -> object:
    """Held to the fields strictly ("5" is no int), then made as pydantic makes it."""
    import pydantic

    if not isinstance(data, (dict, pydantic.BaseModel)):
        raise _make_refusal(
            "Expecting example to be a dictionary or pydantic model instance for "
            f"Pydantic type hint, got {type(data)}"
        )
    fields = data if isinstance(data, dict) else data.model_dump()
    try:
        hint.model_validate(fields, strict=True)
    except pydantic.ValidationError as error:
        raise _make_refusal(
            f"Data doesn't match type hint, error: {error}. Expected fields in the "
            f"type hint: {hint.model_fields}; passed data: {fields}. Check "
            "https://mlflow.org/docs/latest/model/python_model.html"
            "#pydantic-model-type-hints-data-conversion for more details."
        ) from error
    return hint(**data) if isinstance(data, dict) else data


def _show_hint(hint: Any) -> str:
    return str(hint.__name__) if _is_pydantic(hint) or type(hint) is type else str(hint)


def _make_refusal(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)
