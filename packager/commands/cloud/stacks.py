"""The CloudFormation stack of an artifact: its name, its outputs, and clients to ask."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from packager.commands import artifact
from packager.commands.artifact.description import read_own_text
from packager.environments.machine.installation import name_install
from packager.errors import CloudError, ConfigurationError, ModelFormatError, PackagerError

Client: TypeAlias = Any
"""A client of boto3, whose methods are made from data when it is."""
MakeClient: TypeAlias = Callable[[str], Client]
"""Makes a client of an AWS service by its name."""
_ALIAS: Final = "AliasArn"
_USUAL_WAY: Final = "Check your credentials, the region, and the rights that the message names."
_LOG_IN: Final = "Log in (`aws sso login` or `aws configure`), or set AWS_PROFILE to a profile."
_WAYS: Final = {
    "NoRegionError": "Set AWS_REGION to the region that you deployed to.",
    "NoCredentialsError": _LOG_IN,
    "PartialCredentialsError": _LOG_IN,
    "ProfileNotFound": "Set AWS_PROFILE to a profile that `aws configure list-profiles` names.",
    "EndpointConnectionError": "Check the network, and the region that the address names.",
}
"""What to do about an error of the SDK's own, by its name."""


def read_stack_name(folder: Path) -> str:
    """The name that the artifact's samconfig.toml gives. Raises ModelFormatError without one."""
    artifact.read(folder)
    try:
        told = tomllib.loads(read_own_text(folder / "samconfig.toml"))
        return str(told["default"]["global"]["parameters"]["stack_name"])
    # RecursionError: tables that are deep in each other
    except (ModelFormatError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFormatError(
            f"{folder}/samconfig.toml names no stack ({error!r}). Name the stack with --stack."
        ) from error


def read_outputs(stacks: Client, name: str) -> dict[str, str]:
    """The outputs of a stack by their names; `stacks` is a client of CloudFormation.

    Raises CloudError where there is no such stack.
    """
    try:
        (found,) = stacks.describe_stacks(StackName=name)["Stacks"]
    except Exception as error:
        if read_code(error) != "ValidationError" or "does not exist" not in str(error):
            raise
        region = stacks.meta.region_name
        raise CloudError(
            f"There is no stack {name} in {region}. Deploy the artifact first, name another stack "
            "with --stack, or set AWS_REGION to the region that it is in."
        ) from error
    return {each["OutputKey"]: str(each["OutputValue"]) for each in found.get("Outputs", ())}


def find_alias(folder: Path, stack: str | None, make: MakeClient) -> tuple[str, str]:
    """(name of the stack that runs the artifact, ARN of the alias that its callers use).

    Raises ConfigurationError for a stack that no artifact made.
    """
    name = stack or read_stack_name(folder)
    outputs = read_outputs(make("cloudformation"), name)
    if _ALIAS not in outputs:
        raise ConfigurationError(
            f"The stack {name} has no output {_ALIAS}, so no artifact of this packager made it. "
            "Name another stack with --stack."
        )
    return name, outputs[_ALIAS]


def make_client(service: str) -> Client:
    """A client of that service. Raises ConfigurationError where boto3 is not installed."""
    try:
        import boto3  # noqa: PLC0415 - an extra, and what only builds does without
    except ImportError as error:
        raise ConfigurationError(
            f"Asking AWS needs boto3: `{name_install(extra='aws')}`."
        ) from error
    make: Client = boto3.client
    return make(service)


def read_code(error: Exception) -> str:
    """The code of an error that AWS answered with; empty for another error."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


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
        way = _WAYS.get(type(error).__name__, _USUAL_WAY)
        raise CloudError(f"AWS did not do what it was asked: {error}\n{way}") from error
