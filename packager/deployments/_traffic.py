"""Versions of a deployment, and the share of the requests that each of them gets."""

from __future__ import annotations

from collections.abc import Mapping

from packager.commands.cloud.traffic import (
    DeployedAlias,
    list_alias_versions,
    roll_back_alias,
    shift_alias,
)
from packager.deployments._aws import Cloud
from packager.deployments._errors import DeploymentError, explain_errors, wrong_setting
from packager.deployments._settings import Settings
from packager.deployments._stacks import Stack
from packager.types import FunctionVersions


def list_shares(cloud: Cloud, stack: Stack) -> dict[str, object]:
    """A row for each published version, newest first; none where there is no alias yet.

    Whoever may not list versions is told so in their place.
    """
    if "AliasArn" not in stack.outputs:
        return {}
    try:
        with explain_errors():
            found = list_alias_versions(_find_alias(stack), _name_clients(cloud).__getitem__)
    except DeploymentError as error:
        return {"versions": f"not known: {error.message}"}
    return _list_rows(found)


def move_traffic(cloud: Cloud, stack: Stack, settings: Settings) -> dict[str, object]:
    """Do what `traffic` or `rollback` says, and list the versions. Raises DeploymentError."""
    if settings.traffic and settings.rollback:
        raise wrong_setting("traffic and rollback both say who gets the requests: leave one out.")
    if settings.has_more_than_moves:
        raise wrong_setting(
            "traffic and rollback move the requests between versions that are deployed, and "
            "deploy nothing: leave other settings out."
        )
    make = _name_clients(cloud).__getitem__
    with explain_errors():
        if settings.traffic:
            return _list_rows(shift_alias(_find_alias(stack), settings.traffic, make))
        return _list_rows(roll_back_alias(_find_alias(stack), settings.rollback or None, make))


def refuse_moves(settings: Settings, model_uri: str | None) -> None:
    """Raises DeploymentError where traffic is to move while something is deployed."""
    if settings.moves and model_uri is not None:
        raise wrong_setting(
            "traffic and rollback move the requests between versions that are deployed: "
            "`mlflow deployments update` takes them, without a model (-m)."
        )


def _find_alias(stack: Stack) -> DeployedAlias:
    if "AliasArn" not in stack.outputs:
        raise DeploymentError(
            f"The stack {stack.name} has no alias yet ({stack.status}): wait until it is made, or "
            "read its events in CloudFormation.",
            "INVALID_STATE",
        )
    return DeployedAlias(stack=stack.name, arn=stack.outputs["AliasArn"])


def _name_clients(cloud: Cloud) -> Mapping[str, object]:
    return {"lambda": cloud.functions, "cloudformation": cloud.stacks}


def _list_rows(found: FunctionVersions) -> dict[str, object]:
    return {f"version {row['version']}": f"{row['percent']:g} %" for row in found["versions"]}
