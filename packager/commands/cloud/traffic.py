"""Versions of a deployed function, and the share of the requests that each of them gets."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager import targets
from packager.commands import artifact
from packager.commands.artifact.description import read_artifact
from packager.commands.cloud.stacks import (
    Client,
    MakeClient,
    explain_sdk_errors,
    find_alias,
    make_client,
    read_code,
)
from packager.errors import CloudError, ConfigurationError
from packager.types import FunctionVersions, HostKind, VersionRow

_WHOLE: Final = 100
_CHANGED: Final = "PreconditionFailedException"
_MISSING: Final = "ResourceNotFoundException"
_PROVISIONED: Final = "provisioned concurrency"
"""In the message by which Lambda refuses weights for an alias that has it."""
_ALIKE: Final = {"Role": "execution role", "DeadLetterConfig": "dead-letter configuration"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alias:
    """The alias that callers use, as it was when it was read."""

    stack: str
    function: str
    name: str
    main: str
    """Version that gets what no other gets."""
    others: Mapping[str, float]
    """Shares of other versions, 0 to 1."""
    revision: str

    def share_percent(self, version: str) -> float:
        if version == self.main:
            return _round_percent(1 - sum(self.others.values()))
        return _round_percent(self.others.get(version, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionAlias:
    """An alias that is named by itself: no CloudFormation stack made it, as under Terraform."""

    function: str
    alias: str = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedAlias:
    """The alias that a stack's callers use."""

    stack: str
    """Empty where no stack made it."""
    arn: str
    code_sha256: str | None = None
    """Digest of an artifact's code, as Lambda tells it, to know its versions by."""


def list_versions(
    folder: Path,
    *,
    stack: str | None = None,
    function: FunctionAlias | None = None,
    clients: MakeClient | None = None,
) -> FunctionVersions:
    """List the published versions of the function that the artifact's stack runs, newest first.

    `clients` makes a client of an AWS service by its name. Raises ModelFormatError where `folder`
    is no artifact, ConfigurationError for a target without such a stack, CloudError where AWS
    refuses.
    """
    make = clients or make_client
    with explain_sdk_errors():
        return list_alias_versions(_find_alias(folder, function or stack, make), make)


def list_alias_versions(deployed: DeployedAlias, make: MakeClient) -> FunctionVersions:
    """List the versions as `list_versions` does. Raises CloudError, and what the SDK raises."""
    return _describe_versions(deployed, _read_alias(deployed, make), make("lambda"))


def shift_traffic(
    folder: Path,
    shares: Mapping[str, float],
    *,
    stack: str | None = None,
    function: FunctionAlias | None = None,
    clients: MakeClient | None = None,
) -> FunctionVersions:
    """Send each version its percentage of the requests; the alias's version gets the rest.

    Raises ConfigurationError for versions or shares that an alias cannot have, else as
    `list_versions` does. Nothing changes where it raises.
    """
    make = clients or make_client
    with explain_sdk_errors():
        return shift_alias(_find_alias(folder, function or stack, make), shares, make)


def shift_alias(
    deployed: DeployedAlias, shares: Mapping[str, float], make: MakeClient
) -> FunctionVersions:
    """Divide the requests as `shift_traffic` does. Raises as it, and what the SDK raises."""
    alias, functions = _read_alias(deployed, make), make("lambda")
    published = {str(each["Version"]): each for each in _read_published(functions, alias.function)}
    main, others = _divide_traffic(alias, shares, {*published})
    _refuse_unlike_versions([published[each] for each in (main, *others)])
    _refuse_while_deploying(alias, make)
    changed = _update_alias(functions, alias, main, others)
    return _describe_versions(deployed, changed, functions)


def roll_back(
    folder: Path,
    *,
    to: str | None = None,
    stack: str | None = None,
    function: FunctionAlias | None = None,
    clients: MakeClient | None = None,
) -> FunctionVersions:
    """Send every request to one version: `to`, or the one before.

    While two versions share the requests, the one that was published first gets all of them. Else
    it is the only version published before. Raises as `shift_traffic`.
    """
    make = clients or make_client
    with explain_sdk_errors():
        return roll_back_alias(_find_alias(folder, function or stack, make), to, make)


def roll_back_alias(deployed: DeployedAlias, to: str | None, make: MakeClient) -> FunctionVersions:
    """Go back as `roll_back` does. Raises as it, and what the SDK raises."""
    alias, functions = _read_alias(deployed, make), make("lambda")
    published = sorted(
        (str(each["Version"]) for each in _read_published(functions, alias.function)), key=int
    )
    version = to or _find_earlier(alias, published)
    main, others = _divide_traffic(alias, {version: _WHOLE}, set(published))
    _refuse_while_deploying(alias, make)
    changed = _update_alias(functions, alias, main, others)
    return _describe_versions(deployed, changed, functions)


def parse_shares(words: Sequence[str]) -> dict[str, float]:
    """Read `7=10` as version 7 and 10 percent. Raises ConfigurationError for anything else."""
    shares: dict[str, float] = {}
    for word in words:
        version, equals, percent = word.partition("=")
        try:
            share = float(percent.removesuffix("%"))
        except ValueError:
            share = -1.0
        if not equals or not version.isascii() or not version.isdecimal():
            raise ConfigurationError(
                f"{word!r} names no version and its share. Write VERSION=PERCENT, as 7=10."
            )
        if not 0 <= share <= _WHOLE:
            raise ConfigurationError(
                f"{percent!r} is no share of the requests. Give a number from 0 to 100, "
                f"as {version}=10."
            )
        if version in shares:
            raise ConfigurationError(f"Version {version} has two shares. Give it one.")
        shares[version] = share
    return shares


def _divide_traffic(
    alias: _Alias, shares: Mapping[str, float], published: set[str]
) -> tuple[str, dict[str, float]]:
    """(the alias's version, shares of others as Lambda takes them)."""
    if unknown := [version for version in shares if version not in published]:
        known = ", ".join(sorted(published, key=int)) or "none"
        raise ConfigurationError(
            f"{alias.function} has no version {', '.join(unknown)}. Published: {known}."
        )
    total = sum(shares.values())
    wanted = {version: share for version, share in shares.items() if share}
    if alias.main not in shares and total < _WHOLE:
        wanted[alias.main] = _WHOLE - total
        total = _WHOLE
    if abs(total - _WHOLE) > 1e-9:
        raise ConfigurationError(
            f"The shares add up to {total:g}, not to 100. {alias.main} is the version that gets "
            f"the rest: leave it out, or give another version what {alias.main} does not get."
        )
    if len(wanted) > 2:
        raise ConfigurationError(
            f"An alias divides its requests between two versions, not {len(wanted)} "
            f"({', '.join(sorted(wanted, key=int))}). Give one of them 0."
        )
    # the alias's own version stays where it can: it is the one that gets the rest
    main = alias.main if alias.main in wanted else max(wanted, key=lambda each: wanted[each])
    return main, {each: share / _WHOLE for each, share in wanted.items() if each != main}


def _refuse_unlike_versions(versions: Sequence[Mapping[str, object]]) -> None:
    """Raise ConfigurationError for versions that Lambda lets no alias divide its requests between.

    https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    for field, words in _ALIKE.items():
        if len({str(each.get(field) or "none") for each in versions}) > 1:
            named = " and ".join(
                f"version {each['Version']} has {each.get(field) or 'none'}" for each in versions
            )
            raise ConfigurationError(
                f"The two versions do not have the same {words}: {named}. Lambda divides the "
                "requests of an alias only between versions that do. Nothing was changed: send one "
                "of them all requests (VERSION=100), or deploy the other one again."
            )


def _find_earlier(alias: _Alias, published: Sequence[str]) -> str:
    if alias.others:
        # shares that were moved by hand leave the newer one as the alias's own
        return min(alias.main, *alias.others, key=int)
    earlier = [each for each in published if int(each) < int(alias.main)]
    if not earlier:
        raise ConfigurationError(
            f"{alias.function} has no version before {alias.main}, which gets every request now. "
            "Deploy the earlier artifact again."
        )
    if len(earlier) > 1:
        raise ConfigurationError(
            f"{alias.function} has several versions before {alias.main}: {', '.join(earlier)}. One "
            "whose rollout failed is published too, so choose one with --to. `packager versions` "
            "describes them."
        )
    return earlier[-1]


def _find_alias(folder: Path, named: FunctionAlias | str | None, make: MakeClient) -> DeployedAlias:
    target = targets.load(artifact.read(folder).target)
    if target.program.host is not HostKind.LAMBDA:
        raise ConfigurationError(
            f"{folder} was built for {target.name}, and the traffic of a Lambda function alone can "
            f"be read and moved here. {folder / 'README.md'} says how this one is deployed."
        )
    if isinstance(named, FunctionAlias):
        arn = f"{named.function}:{named.alias}"
        return DeployedAlias(stack="", arn=arn, code_sha256=_read_code_digest(folder))
    name, arn = find_alias(folder, named, make)
    return DeployedAlias(stack=name, arn=arn, code_sha256=_read_code_digest(folder))


def _read_alias(deployed: DeployedAlias, make: MakeClient) -> _Alias:
    name = deployed.stack
    function, alias = deployed.arn.split(":")[-2:]
    try:
        told = make("lambda").get_alias(FunctionName=function, Name=alias)
    except Exception as error:
        if read_code(error) != _MISSING:
            raise
        if not name:
            raise CloudError(
                f"There is no alias {alias} of a function {function}: {error}. Nothing was "
                "changed: name them with --function and --alias, and the region with AWS_REGION."
            ) from error
        raise CloudError(
            f"The stack {name} says that its callers use the alias {alias} of {function}, and "
            f"Lambda has none: {error}. Somebody deleted it outside of the stack. Nothing was "
            "changed: delete the stack, and deploy the artifact again."
        ) from error
    return _make_alias(name, function, told, alias)


def _make_alias(stack: str, function: str, told: Mapping[str, object], name: str) -> _Alias:
    routing = told.get("RoutingConfig")
    weights = routing.get("AdditionalVersionWeights") if isinstance(routing, Mapping) else None
    return _Alias(
        stack=stack,
        function=function,
        name=name,
        main=str(told["FunctionVersion"]),
        others={str(each): float(share) for each, share in (weights or {}).items() if share},
        revision=str(told.get("RevisionId", "")),
    )


def _read_published(functions: Client, function: str) -> list[Mapping[str, object]]:
    pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    return [each for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"]


def _refuse_while_deploying(alias: _Alias, make: MakeClient) -> None:
    """Raise ConfigurationError while CloudFormation or CodeDeploy moves the alias itself."""
    stack = alias.stack
    if not stack:
        _refuse_while_shifting(alias, make("codedeploy"))
        return
    (found,) = make("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    status = str(found["StackStatus"])
    if status.endswith("_IN_PROGRESS"):
        way = (
            "Wait until it ends, or take the deployment back: "
            f"aws cloudformation cancel-update-stack --stack-name {stack}"
            if status == "UPDATE_IN_PROGRESS"
            else "Wait until it ends."
        )
        raise ConfigurationError(
            f"The stack {stack} is being deployed ({status}), which moves the traffic itself. {way}"
        )


def _refuse_while_shifting(alias: _Alias, deployments: Client) -> None:
    """Raise ConfigurationError while a deployment of CodeDeploy names the function."""
    pages = deployments.get_paginator("list_deployments").paginate(
        includeOnlyStatuses=["Created", "Queued", "InProgress", "Baking", "Ready"]
    )
    name = re.compile(rf"(?<![\w-]){re.escape(alias.function)}(?![\w-])")
    for each in (each for page in pages for each in page["deployments"]):
        told = deployments.get_deployment(deploymentId=each)["deploymentInfo"]
        revision = told.get("revision") or {}
        texts = [revision.get(kind) or {} for kind in ("string", "appSpecContent")]
        if any(name.search(str(text.get("content"))) for text in texts):
            raise ConfigurationError(
                f"CodeDeploy moves the traffic of {alias.function} itself ({each}). Wait until it "
                "ends, or take the deployment back: aws deploy stop-deployment --deployment-id "
                f"{each} --auto-rollback-enabled"
            )


def _update_alias(
    functions: Client, alias: _Alias, main: str, others: Mapping[str, float]
) -> _Alias:
    try:
        told = functions.update_alias(
            FunctionName=alias.function,
            Name=alias.name,
            FunctionVersion=main,
            RoutingConfig={"AdditionalVersionWeights": dict(others)},
            **({"RevisionId": alias.revision} if alias.revision else {}),
        )
    except Exception as error:
        if others and _PROVISIONED in str(error).lower():
            raise ConfigurationError(
                f"The alias {alias.name} has provisioned concurrency, and Lambda divides no "
                "requests of such an alias. Nothing was changed: send one version all requests "
                "(VERSION=100), or deploy with ProvisionedConcurrency=0 first."
            ) from error
        if read_code(error) != _CHANGED:
            raise
        raise CloudError(
            f"The alias {alias.name} was changed by somebody else in the meantime. Nothing was "
            "changed now: look at `packager versions`, and try again."
        ) from error
    return _make_alias(alias.stack, alias.function, told, alias.name)


def _describe_versions(
    deployed: DeployedAlias, alias: _Alias, functions: Client
) -> FunctionVersions:
    built = deployed.code_sha256
    rows: list[VersionRow] = [
        {
            "version": str(each["Version"]),
            "percent": alias.share_percent(str(each["Version"])),
            "published": str(each.get("LastModified", "")),
            "description": str(each.get("Description", "")),
            "code_sha256": str(each.get("CodeSha256", "")),
            "this_artifact": None if built is None else each.get("CodeSha256") == built,
        }
        for each in _read_published(functions, alias.function)
    ]
    rows.sort(key=lambda row: int(row["version"]), reverse=True)
    return {
        "stack": alias.stack,
        "function": alias.function,
        "alias": alias.name,
        "versions": rows,
    }


def _read_code_digest(folder: Path) -> str | None:
    """The digest of the code as Lambda tells it; None of an image, which its registry digests."""
    target = targets.load(artifact.read(folder).target)
    if target.deployment.base_image or target.deployment.compared_by_hand:
        return None
    digest = bytes.fromhex(read_artifact(folder.absolute()).sha256)
    return base64.b64encode(digest).decode()


def _round_percent(share: float) -> float:
    return round(share * _WHOLE, 6)
