"""The CloudFormation stack of an artifact: its name, its outputs, and clients to ask."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from packager.commands import artifact
from packager.errors import CloudError, ConfigurationError, ModelFormatError, PackagerError

Client: TypeAlias = Any
"""A client of boto3, whose methods are made from data when it is."""


def read_stack_name(folder: Path) -> str:
    """The name that the artifact's samconfig.toml gives. Raises ModelFormatError without one."""
    artifact.read(folder)
    try:
        told = tomllib.loads((folder / "samconfig.toml").read_text(encoding="utf-8"))
        return str(told["default"]["global"]["parameters"]["stack_name"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ModelFormatError(
            f"{folder}/samconfig.toml names no stack ({error!r}). Name the stack with --stack."
        ) from error


def read_outputs(stacks: Client, name: str) -> dict[str, str]:
    """The outputs of a stack by their names; `stacks` is a client of CloudFormation."""
    (found,) = stacks.describe_stacks(StackName=name)["Stacks"]
    return {each["OutputKey"]: str(each["OutputValue"]) for each in found.get("Outputs", ())}


def make_client(service: str) -> Client:
    """A client of that service. Raises ConfigurationError where boto3 is not installed."""
    try:
        import boto3  # noqa: PLC0415 - an extra, and what only builds does without
    except ImportError as error:
        raise ConfigurationError(
            "Asking AWS needs boto3: pip install boto3 (the extra `aws`)."
        ) from error
    make: Client = boto3.client
    return make(service)


@contextmanager
def explain_sdk_errors() -> Iterator[None]:
    """CloudError for whatever the SDK raises inside the block, with its own sentence."""
    try:
        yield
    except PackagerError:
        raise
    except Exception as error:
        # the SDK makes a service's own errors as it goes
        sdk = type(error).__module__.partition(".")[0] in {"botocore", "boto3"}
        if not sdk and not hasattr(error, "response"):
            raise
        raise CloudError(f"AWS: {error}") from error
