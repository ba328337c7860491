"""A rollout by CodeDeploy, which Terraform makes ready and does not start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Call,
    Code,
    Value,
)
from packager.pipeline.emit.infrastructure.terraform._translation import Resource, Translation


def make_deployment(translation: Translation) -> Iterator[Block]:
    """Yield the output that `aws deploy create-deployment` reads, where the alias is rolled out.

    The specification:
    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
    """
    for alias in translation.resources.values():
        update = alias.update.get("CodeDeployLambdaAliasUpdate")
        if isinstance(update, Mapping):
            said = "Moves traffic to the new version: aws deploy create-deployment --cli-input-json"
            request = Call("jsonencode", _make_request(alias, update, translation))
            body = (Attribute("description", said), Attribute("value", request))
            yield Block("output", ("deployment",), body)


def _make_request(alias: Resource, update: Mapping[str, object], translation: Translation) -> Value:
    function = translation.name_address(translation.find(alias.properties["FunctionName"]))
    address = translation.name_address(alias)
    moved: Value = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Name": Code(f"{function}.function_name"),
            "Alias": Code(f"{address}.name"),
            "CurrentVersion": Code(f"{address}.function_version"),
            "TargetVersion": Code(f"{function}.version"),
        },
    }
    specification: Value = {
        "version": "0.0",
        "Resources": [{alias.label: moved}],
        "Hooks": [{"BeforeAllowTraffic": translation.convert(update["BeforeAllowTrafficHook"])}],
    }
    content = Call("jsonencode", specification)
    return {
        "applicationName": translation.convert(update["ApplicationName"]),
        "deploymentGroupName": translation.convert(update["DeploymentGroupName"]),
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
    }
