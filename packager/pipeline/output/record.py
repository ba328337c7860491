"""The options of a build as its report records them, and a request made of such a record again."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from packager.system import file_tree
from packager.types import (
    BuildRequest,
    ModelOptions,
    OutputOptions,
    change_request,
    list_settings,
)

_NOT_RECORDED: Final = frozenset(
    {"model_uri", "tracking_uri", "registry_uri", *(each.name for each in fields(OutputOptions))}
) | {"out_dir", "osv_url", "refresh_audit", "arm64_python"}
"""Where the model, the artifact and what it is booted in lie, and who is asked: nobody's record
chooses an address."""
TRUSTING: Final = ("allow_network", "trust_model_index", "allow_unproven")
"""Options that let a model do more: nobody's record is a reason to give them."""


def record_options(request: BuildRequest) -> dict[str, object]:
    """Return the options that are not as by default, each by its name; files by their sha256.

    Raises OSError where such a file cannot be read.
    """
    usual = BuildRequest(model=ModelOptions(uri=""))
    found: dict[str, object] = {}
    for name, group, key in list_settings():
        value = getattr(getattr(request, group), key)
        if name not in _NOT_RECORDED and value != getattr(getattr(usual, group), key):
            found[name] = _describe_value(value)
    own = [each for each in request.slimming.keep_packages if each not in request.added_packages]
    if request.added_packages:
        found["keep_packages"] = own
    return found


def read_options(record: object, files: Mapping[str, Path]) -> dict[str, object]:
    """Return the settings of a record, for `change_request`; `files` has those that it names.

    Raises ValueError, with a sentence, for a record that no build wrote and for a file that is
    missing or another.
    """
    if not isinstance(record, Mapping):
        raise ValueError("its options are no table")  # noqa: TRY004 - it is the record that is off
    hints = _list_hints()
    found: dict[str, object] = {}
    for name, value in record.items():
        if name not in hints:
            raise ValueError(f"it has the option {str(name)[:80]!r}, which is not known here")
        if isinstance(value, Mapping):
            found[name] = _find_file(name, value, files)
        else:
            found[name] = _read_value(name, value, hints[name])
    if unwanted := sorted(files.keys() - found.keys()):
        option = unwanted[0].replace("_", "-")
        raise ValueError(f"it was built without --{option}: leave it out")
    return found


def request_again(request: BuildRequest, record: object, files: Mapping[str, Path]) -> BuildRequest:
    """Return the request with the recorded options. Raises ValueError as `read_options` does.

    What lets a model do more is taken from the request alone.
    """
    settings = read_options(record, files)
    for name in TRUSTING:
        group = next(group for each, group, _ in list_settings() if each == name)
        if settings.pop(name, False) and not getattr(getattr(request, group), name):
            raise ValueError(
                f"it was built with --{name.replace('_', '-')}, which an artifact is not believed: "
                "give that option too if you trust the model"
            )
    return change_request(request, **settings)


def _describe_value(value: object) -> object:
    if isinstance(value, Path):
        return {"name": value.name, "sha256": _digest(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_describe_value(each) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"no report can record a {type(value).__name__}")


def _digest(path: Path) -> str:
    return file_tree.digest(file_tree.records(path)) if path.is_dir() else file_tree.sha256(path)


def _list_hints() -> dict[str, object]:
    hints = typing.get_type_hints(BuildRequest)
    return {
        name: typing.get_type_hints(hints[group])[key]
        for name, group, key in list_settings()
        if name not in _NOT_RECORDED
    }


def _find_file(name: str, told: Mapping[str, object], files: Mapping[str, Path]) -> Path:
    option, expected = f"--{name.replace('_', '-')}", told.get("sha256")
    if (path := files.get(name)) is None:
        raise ValueError(
            f"it was built with {option} {str(told.get('name'))[:80]}, whose content is not in the "
            f"artifact: give {option} with that file (sha256 {str(expected)[:64]})"
        )
    try:
        found = _digest(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if found != expected:
        raise ValueError(
            f"{path} is another file than the one that it was built with: its sha256 is {found}, "
            f"and the report records {str(expected)[:64]}"
        )
    return path


def _read_value(name: str, value: object, hint: object) -> object:
    """Raises ValueError for a value of another kind than the option has."""
    for kind in typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,):
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if origin is tuple and isinstance(value, list):
            return tuple(_read_value(name, each, parts[0]) for each in value)
        if origin is Literal and value in parts:
            return value
        if isinstance(kind, type) and origin is None and _is_of(value, kind):
            return None if value is None else kind(value)
    raise ValueError(f"its option {name} is {str(value)[:80]!r}, which no build takes")


def _is_of(value: object, kind: type) -> bool:
    """Tell whether JSON's value is one of the kind; a whole number may stand for any."""
    if issubclass(kind, StrEnum):
        return value in [*kind]
    return type(value) is kind or (kind is float and type(value) is int)
