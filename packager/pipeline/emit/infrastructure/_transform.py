"""The emitted SAM template as plain CloudFormation, which is what the cloud makes of it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final, TypeAlias

import yaml

from packager.models.model_documents import SAFE_LOADER

CODE: Final = "function.zip"
CHECK: Final = "rollout.zip"
"""Names of the zips, by which what reads the template knows a function's code."""
DEPLOYMENT: Final = "AWS::ApiGateway::Deployment"
DIGEST_LENGTH: Final = 10
"""Characters of a digest that a deployment's name ends with."""
_PLACE: Final = "s3://packager"
_OF_INSTANCES: Final = ("CapacityProviderConfig", "FunctionScalingConfig", "AcceleratorConfig")
_SAM_TAG: Final = "lambda:createdBy"

Document: TypeAlias = dict[str, dict[str, dict[str, object]]]
"""A template's sections; in each, what has a name by its name."""


@dataclass(frozen=True, slots=True)
class CodeDigests:
    """Digests of what two functions run; a version's name hangs on its code's."""

    function: str
    check: str


def transform_template(text: str, digests: CodeDigests) -> Document:
    """Return the template's resources as CloudFormation knows them, with all parameters.

    The transform is AWS's own: https://github.com/aws/serverless-application-model. What SAM's
    command line alone reads is left out, and so is the tag that says that SAM made a function.
    """
    from samtranslator.parser.parser import Parser  # noqa: PLC0415 - seconds of imports, on request
    from samtranslator.translator.translator import Translator  # noqa: PLC0415
    from samtranslator.yaml_helper import intrinsics_multi_constructor  # noqa: PLC0415

    class Loader(SAFE_LOADER):  # type: ignore[misc]  # the translator's own reads in Python, slowly
        pass

    Loader.add_multi_constructor("!", intrinsics_multi_constructor)
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    template = yaml.load(text, Loader)  # noqa: S506 - of SAFE_LOADER
    held: dict[str, dict[str, object]] = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            _name_code(name, resource["Properties"], digests)
            held[name] = take_instances(resource["Properties"])
    # a session is asked for its region alone, which a partition is known by
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name="us-east-1"))
    plain: Document = translator.translate(template, {})
    for name, settings in held.items():
        put_instances(plain, name, settings)
    for resource in plain["Resources"].values():
        _restore_resource(resource)
    return _name_deployments(plain)


def _name_code(name: str, properties: dict[str, object], digests: CodeDigests) -> None:
    if properties.get("PackageType") == "Image":
        properties["ImageUri"] = f"packager/{digests.function}"
    elif name == "Function":
        properties["CodeUri"] = f"{_PLACE}/{digests.function}/{CODE}"
    else:
        properties["CodeUri"] = f"{_PLACE}/{digests.check}/{CHECK}"


def take_instances(properties: dict[str, object]) -> dict[str, object]:
    """Take out what a function on managed instances has: no translator knows all of it yet.

    CloudFormation's own transform does:
    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html
    """
    return {name: properties.pop(name) for name in _OF_INSTANCES if name in properties}


def put_instances(plain: Document, name: str, settings: dict[str, object]) -> None:
    """Put it into the function and into its version, which it is billed for until it is deleted."""
    provider = settings.get("CapacityProviderConfig")
    if not isinstance(provider, dict):
        return
    named = {("CapacityProviderArn" if key == "Arn" else key): provider[key] for key in provider}
    scaling = {key: settings[key] for key in ("FunctionScalingConfig",) if key in settings}
    function = _read_properties(plain["Resources"][name])
    function.update(settings)
    function["CapacityProviderConfig"] = {"LambdaManagedInstancesCapacityProviderConfig": named}
    for resource in plain["Resources"].values():
        if resource["Type"] != "AWS::Lambda::Version":
            continue
        properties = _read_properties(resource)
        if properties["FunctionName"] == {"Ref": name}:
            properties.update(scaling)
            resource["DeletionPolicy"] = "Delete"


def _read_properties(resource: dict[str, object]) -> dict[str, object]:
    properties = resource["Properties"]
    if not isinstance(properties, dict):
        raise TypeError(f"Properties are {type(properties).__name__}, not an object.")
    return properties


def _restore_resource(resource: dict[str, object]) -> None:
    """Take out what is SAM's own, and put a parameter where SAM put its default."""
    resource.pop("Metadata", None)
    properties = _read_properties(resource)
    tags = properties.get("Tags")
    if isinstance(tags, list):
        properties["Tags"] = [each for each in tags if not _is_of_sam(each)]
    if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup":
        chosen = {"ConfigName": {"Ref": "Rollout"}}
        properties["DeploymentConfigName"] = {
            "Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", chosen]
        }


def _name_deployments(template: Document) -> Document:
    """Name a REST API's deployment by the API: SAM's digest is another one in each process."""
    named: dict[str, str] = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == DEPLOYMENT:
            properties = resource["Properties"]
            if not isinstance(properties, dict):
                raise TypeError(f"Properties are {type(properties).__name__}, not an object.")
            properties.pop("Description", None)
            api = properties["RestApiId"]["Ref"]
            body = json.dumps(template["Resources"][api]["Properties"], sort_keys=True)
            made = hashlib.sha256(body.encode()).hexdigest()[:DIGEST_LENGTH]
            named[name] = f"{api}Deployment{made}"
    text = json.dumps(template)
    for name, better in named.items():
        text = text.replace(json.dumps(name), json.dumps(better))
    renamed: Document = json.loads(text)
    return renamed


def _is_of_sam(tag: object) -> bool:
    return isinstance(tag, Mapping) and tag.get("Key") == _SAM_TAG
