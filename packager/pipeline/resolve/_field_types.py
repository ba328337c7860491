"""The types of MLmodel's fields: what is of another is said before anything stumbles over it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from packaging.version import InvalidVersion, Version

from handlers.scoring.schema.signature import read_params, read_schema
from packager.errors import ModelFormatError
from packager.models.flavors import FLAVORS
from packager.types import Json

_TEXT: Final = (str,)
_NUMBER: Final = (str, int, float)
"""A version, which YAML may read as a number."""
_FIELDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("run_id", "model_id", "model_uuid", "artifact_path"), _TEXT),
    "mlflow_version": _NUMBER,
    "utc_time_created": (str, datetime),
    "saved_input_example_info": (dict,),
    "metadata": (dict,),
    **dict.fromkeys(("is_signature_from_type_hint", "type_hint_from_example"), (bool,)),
}
_FLAVOR_FIELDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("code", "data", "loader_module", "model_path", "predict_fn"), _TEXT),
    **dict.fromkeys(("model_class", "model_data", "model_format", "model_type"), _TEXT),
    **dict.fromkeys(("pickled_model", "serialization_format", "save_format"), _TEXT),
    **dict.fromkeys(("python_model", "python_model_compression", "model_code_path"), _TEXT),
    **dict.fromkeys(("keras_backend", "saved_model_dir", "local_base_model_path"), _TEXT),
    **dict.fromkeys(("model_binary", "pipeline_model_type", "tokenizer_type"), _TEXT),
    **dict.fromkeys(("source_model_name", "source_model_revision", "task"), _TEXT),
    "python_version": _NUMBER,
    "torch_dtype": _TEXT,
    "save_exported_model": (bool,),
    "artifacts": (dict,),
    "onnx_session_options": (dict,),
    "config": (dict, str),
    "skops_trusted_types": (list,),
    "providers": (list,),
}
_EXAMPLE_FIELDS: Final[Mapping[str, tuple[type, ...]]] = dict.fromkeys(
    ("artifact_path", "serving_input_path", "type", "pandas_orient"), _TEXT
)
_VERSION: Final = re.compile(r"[0-9][\w.+!-]{0,60}")
_MOST_TEXT: Final = 1000
"""Letters of a path or a name."""
_CONTROL: Final = re.compile(r"[\0\r\n]")


def check_fields(values: Mapping[str, Json]) -> None:
    """Raises ModelFormatError with every field of MLmodel that is of another type than MLflow's."""
    wrong = [*_check_table(values, _FIELDS, "")]
    info = values.get("saved_input_example_info")
    if isinstance(info, dict):
        wrong += _check_table(info, _EXAMPLE_FIELDS, "saved_input_example_info.")
    version = values.get("mlflow_version")
    if isinstance(version, str) and not _is_version(version):
        wrong.append(f"mlflow_version is {version[:60]!r}, and not a version")
    for name, config in values["flavors"].items():
        if name in FLAVORS:
            wrong += _check_table(config, _FLAVOR_FIELDS, f"flavors.{name}.")
            wrong += _check_inner(config, f"flavors.{name}.")
    if wrong:
        lines = "".join(f"\n  - {each}." for each in wrong)
        raise ModelFormatError(f"MLmodel cannot be used:{lines}\nLog the model again.")


def _is_version(text: str) -> bool:
    try:
        return _VERSION.fullmatch(text) is not None and bool(Version(text))
    except InvalidVersion:
        return False


def check_specs(part: str, specs: Sequence[Mapping[str, Json]]) -> None:
    """Raises ModelFormatError for a part of the signature that MLflow could not read either."""
    try:
        for spec in specs:
            _check_spec(spec)
        if part == "params":
            read_params(specs)
        else:
            read_schema(specs)
    except KeyError as error:
        raise _no_specs(part, f"{error} is missing, or is no type of MLflow's") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise _no_specs(part, str(error)) from error


def _check_spec(spec: Mapping[str, Json]) -> None:
    if not isinstance(spec.get("name"), str | int | None):
        raise TypeError("a name is not a text")
    tensor = spec.get("tensor-spec")
    if tensor is not None and not isinstance(tensor["dtype"], str):
        raise TypeError("a tensor's dtype is not a text")
    for holder in (spec, tensor or {}):
        shape = holder.get("shape")
        if shape is not None and not _is_shape(shape):
            raise TypeError("a shape is not a list of whole numbers")


def _is_shape(shape: Json) -> bool:
    return isinstance(shape, list) and all(
        isinstance(size, int) and not isinstance(size, bool) and -1 <= size < 2**31
        for size in shape
    )


def _check_table(
    values: Mapping[str, Json], fields: Mapping[str, tuple[type, ...]], where: str
) -> Iterator[str]:
    for key, types in fields.items():
        value = values.get(key)
        if value is None:
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield f"{where}{key} is {_name_type(value)}, and not {_name_types(types)}"
        elif isinstance(value, str) and (len(value) > _MOST_TEXT or _CONTROL.search(value)):
            yield f"{where}{key} is no name or path: {value[:40]!r}"


def _check_inner(config: Mapping[str, Json], where: str) -> Iterator[str]:
    for key in ("skops_trusted_types", "providers"):
        value = config.get(key)
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            yield f"{where}{key} is not a list of texts"
    artifacts = config.get("artifacts")
    for name, artifact in artifacts.items() if isinstance(artifacts, dict) else ():
        path = artifact.get("path") if isinstance(artifact, dict) else None
        if not isinstance(name, str) or not isinstance(path, str):
            yield f"{where}artifacts: {str(name)[:40]!r} has no path"


def _name_types(types: tuple[type, ...]) -> str:
    return " or ".join(_TYPE_NAMES[each] for each in types)


def _name_type(value: Json) -> str:
    return _TYPE_NAMES.get(type(value), type(value).__name__)


_TYPE_NAMES: Final[Mapping[type, str]] = {
    str: "a text",
    int: "a number",
    float: "a fraction",
    bool: "true or false",
    dict: "a table",
    list: "a list",
    datetime: "a time",
}


def _no_specs(part: str, why: str) -> ModelFormatError:
    return ModelFormatError(
        f"MLmodel: the signature's {part} cannot be read: {why[:300]}.\n"
        "Log the model again with a signature of MLflow's (mlflow.models.infer_signature)."
    )
