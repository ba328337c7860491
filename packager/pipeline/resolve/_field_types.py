"""The types of MLmodel's fields: what is of another is said before anything stumbles over it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from packaging.version import InvalidVersion, Version

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


def _check_table(
    values: Mapping[str, object], fields: Mapping[str, tuple[type, ...]], where: str
) -> Iterator[str]:
    for key, types in fields.items():
        value = values.get(key)
        if value is None:
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield f"{where}{key} is {_name_type(value)}, and not {_name_types(types)}"
        elif isinstance(value, str) and (len(value) > _MOST_TEXT or _CONTROL.search(value)):
            yield f"{where}{key} is no name or path: {value[:40]!r}"


def _check_inner(config: Mapping[str, object], where: str) -> Iterator[str]:
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


def _name_type(value: object) -> str:
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
