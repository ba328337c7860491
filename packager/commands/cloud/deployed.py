"""Compare the function that a stack runs with the artifact that it was deployed from."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

from packager import targets
from packager.commands import artifact
from packager.commands.artifact.description import read_artifact
from packager.commands.artifact.template_environment import list_names
from packager.commands.cloud.deployed_image import compare_function_image
from packager.commands.cloud.stacks import (
    Client,
    MakeClient,
    explain_sdk_errors,
    find_alias,
    make_client,
)
from packager.errors import ConfigurationError
from packager.system.atomic_output import MARKER
from packager.types import ArtifactCheck, Json, Target


def compare_deployed(
    folder: Path, *, stack: str | None = None, clients: MakeClient | None = None
) -> ArtifactCheck:
    """Hold what the stack's alias runs to the artifact: code, runtime, entry point, variables.

    The alias may send a share of the requests to a second version, which is compared too. `clients`
    makes a client of an AWS service by its name. Raises ConfigurationError for a target whose cloud
    does not tell, ModelFormatError where `folder` is no artifact, CloudError where AWS refuses.
    """
    built = artifact.read(folder)
    target = targets.load(built.target)
    if by_hand := target.deployment.compared_by_hand:
        raise ConfigurationError(f"--deployed cannot compare this artifact. {by_hand}")
    make = clients or make_client
    with explain_sdk_errors():
        name, alias_arn = find_alias(folder, stack, make)
        functions = make("lambda")
        wanted = _describe_artifact(folder, built, target)
        problems = [
            f"{name}, version {version}: {problem}"
            for version, found in _read_versions(functions, alias_arn)
            for problem in _compare_function(found, wanted)
        ]
        if target.deployment.base_image:
            problems += [
                f"{name}: {problem}"
                for function in _read_images(functions, alias_arn)
                for problem in compare_function_image(folder, function, make)
            ]
    return {"name": "deployed", "passed": not problems, "problems": problems}


def _read_versions(functions: Client, alias_arn: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each version that the alias sends requests to, and its configuration."""
    for function, version in _list_versions(functions, alias_arn):
        yield (
            version,
            functions.get_function_configuration(FunctionName=function, Qualifier=version),
        )


def _read_images(functions: Client, alias_arn: str) -> Iterator[Mapping[str, Json]]:
    for function, version in _list_versions(functions, alias_arn):
        yield functions.get_function(FunctionName=function, Qualifier=version)


def _list_versions(functions: Client, alias_arn: str) -> list[tuple[str, str]]:
    """(function, version) of each version that the alias sends requests to."""
    function, _, alias = alias_arn.rpartition(":")
    told = functions.get_alias(FunctionName=function, Name=alias)
    more = (told.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return [(function, version) for version in (told["FunctionVersion"], *sorted(more))]


def _describe_artifact(folder: Path, built: artifact.Built, target: Target) -> Mapping[str, Json]:
    described = read_artifact(folder.absolute())
    found: dict[str, Json] = {
        "Architectures": [built.architecture],
        "Variables": sorted(list_names(built.home)),
    }
    if target.deployment.base_image:
        return {**found, "PackageType": "Image"}
    return {
        **found,
        "CodeSha256": base64.b64encode(bytes.fromhex(described.sha256)).decode(),
        "Runtime": described.read(MARKER).get("runtime"),
        "Handler": target.program.entrypoint,
    }


def _compare_function(found: Mapping[str, Json], wanted: Mapping[str, Json]) -> Iterator[str]:
    for name in ("PackageType", "CodeSha256", "Runtime", "Handler", "Architectures"):
        if name in wanted and found.get(name) != wanted[name]:
            yield f"{name} is {found.get(name)}, and {wanted[name]} in the artifact."
    for layer in found.get("Layers") or ():
        yield f"it has a layer, which can change what it answers: {layer['Arn']}."
    variables = (found.get("Environment") or {}).get("Variables") or {}
    for name in sorted(variables.keys() - set(wanted["Variables"])):
        yield f"it has the variable {name}, which the template does not set."
