"""Parts that the commands share: options to a checked request, a result to print."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer

from packager.errors import StorageError, describe_full_disk
from packager.system.redaction import escape_json, redact_values
from packager.types import BuildRequest

_Result = TypeVar("_Result", bound=Mapping[str, object])


def check_request(request: BuildRequest) -> BuildRequest:
    """Return the request. Raises BadParameter for a Python that cannot be meant."""
    minor = request.target.python_minor
    if minor is not None and not (
        len(parts := minor.split(".")) == 2 and all(p.isdecimal() for p in parts)
    ):
        raise typer.BadParameter(
            f"{minor!r} is not a Python minor version: give one such as 3.13.",
            param_hint="--python",
        )
    if request.target.arm64_python is not None and request.target.architecture != "arm64":
        raise typer.BadParameter(
            "it has no effect without --arch arm64: add --arch arm64, or leave it out",
            param_hint="--arm64-python",
        )
    return request


def explain_full_disk(error: OSError) -> StorageError:
    return StorageError(
        f"{describe_full_disk(error, 'TMPDIR or PACKAGER_CACHE')}. Free space "
        "(`packager cache prune --max-size 10GB`), or set TMPDIR or PACKAGER_CACHE to a larger "
        "disk."
    )


def join_lines(text: str) -> str:
    """Make one line of each paragraph."""
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


def registry(request: BuildRequest) -> Any:
    from packager.models.registry import MlflowRegistry

    return MlflowRegistry(request.model.tracking_uri, request.model.registry_uri)


def show(found: _Result, *, as_json: bool, human: Callable[[_Result], None]) -> None:
    """Print a result; no address in it has a password."""
    shown: _Result = redact_values(found)
    if as_json:
        told = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False)
        typer.echo(escape_json(told))
    else:
        human(shown)
