"""A moto server that is enough of AWS for `sam deploy`, and that runs what was deployed.

Run as a program: `python -m tests.integration.aws.server PORT`. It adds to moto: the SAM transform,
the CloudFormation types that moto has no model for (recorded, or made through moto's own backends),
and Lambda invocations, which run the uploaded zip under the real emulator and runtime client.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final

from moto.awslambda import models as lambda_models
from moto.awslambda.utils import get_backend
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.events.models import Rule
from moto.server import main as serve

from packager.environments import interpreters
from packager.targets.lambda_emulator import Emulator
from tests.integration.aws import stacks
from tests.integration.aws.code_deploy import CodeDeploy

_Attributes = dict[str, str]
_ALIAS: Final = "AWS::Lambda::Alias"
_GROUP: Final = "AWS::CodeDeploy::DeploymentGroup"
_Made = tuple[str, _Attributes]
_Maker = Callable[[str, dict[str, Any], str, str], _Made]

_RECORDED_ONLY: Final = (
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
)


_SHIFTING: Final[list[CodeDeploy]] = []
"""The one of this server, once it serves."""


def _name_versions() -> None:
    """Have a version be its number as an attribute, and its ARN where it is referred to."""
    kind = lambda_models.LambdaVersion
    create = kind.create_from_cloudformation_json

    def create_and_name(
        name: str, resource: dict[str, Any], account: str, region: str, **more: Any
    ) -> Any:
        made = create(name, resource, account, region, **more)
        function = get_backend(account, region).get_function(resource["Properties"]["FunctionName"])
        made.physical_resource_id = f"{function.function_arn}:{made.version}"
        return made

    kind.create_from_cloudformation_json = staticmethod(create_and_name)
    kind.get_cfn_attribute = lambda version, _: str(version.version)


def _let_rules_invoke() -> None:
    """Have a rule reach a function, as well as the targets that moto knows."""
    send = Rule.send_to_targets

    def send_and_invoke(self: Any, event: Any, **options: Any) -> None:
        matched = self.event_pattern.matches_event(event)
        functions = [target for target in self.targets if ":lambda:" in target["Arn"]]
        for target in functions if matched else ():
            backend = get_backend(self.account_id, self.region_name)
            backend.get_function(target["Arn"])._invoke_lambda(event)
        others = [target for target in self.targets if target not in functions]
        self.targets, every = others, self.targets
        try:
            send(self, event, **options)
        finally:
            self.targets = every

    Rule.send_to_targets = send_and_invoke


def _alias(_: str, properties: dict[str, Any], account: str, region: str) -> _Made:
    backend = lambda_models.lambda_backends[account][region]
    name, function = properties["Name"], properties["FunctionName"]
    version = str(properties["FunctionVersion"])
    backend.create_alias(name, function, version, properties.get("Description", ""), {})
    return f"{backend.get_function(function).function_arn}:{name}", {}


def _move_alias(resource: dict[str, Any], account: str, region: str) -> None:
    properties = resource["Properties"]
    policy = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate")
    if policy and _SHIFTING:
        _SHIFTING[0].shift(properties, policy, account, region)
        return
    backend = lambda_models.lambda_backends[account][region]
    name, function = properties["Name"], properties["FunctionName"]
    version = str(properties["FunctionVersion"])
    backend.update_alias(name, function, version, properties.get("Description", ""), {})


def _group(name: str, properties: dict[str, Any], _: str, __: str) -> _Made:
    _SHIFTING[0].configure(properties["ApplicationName"], properties["DeploymentConfigName"])
    return name, {}


def _change_group(resource: dict[str, Any], account: str, region: str) -> None:
    _group("", resource["Properties"], account, region)


_CHANGED: Final = {_ALIAS: _move_alias, _GROUP: _change_group}
"""What an update of a resource does, by its type."""


def _url(_: str, properties: dict[str, Any], account: str, region: str) -> _Made:
    target = properties["TargetFunctionArn"]
    backend = lambda_models.lambda_backends[account][region]
    made = backend.create_function_url_config(target.split(":")[6], dict(properties))
    return target, {"FunctionUrl": made.url, "FunctionArn": target}


def _recorded(name: str, _: dict[str, Any], __: str, ___: str) -> _Made:
    return name, {}


def _model(kind: str, make: _Maker) -> type[CloudFormationModel]:
    """A class by which moto creates, keeps and deletes a resource type it does not know."""

    class Resource(CloudFormationModel):  # type: ignore[misc]
        # moto takes the service from the module's name, and looks only at its own
        __module__ = "moto.cloudformation.added"
        made: ClassVar[str] = kind

        def __init__(self, physical_id: str, attributes: _Attributes) -> None:
            self.physical_resource_id = physical_id
            self.attributes = attributes

        @staticmethod
        def cloudformation_type() -> str:
            return kind

        @staticmethod
        def cloudformation_name_type() -> str:
            return ""

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return True

        def get_cfn_attribute(self, attribute_name: str) -> str:
            return self.attributes.get(attribute_name, self.physical_resource_id)

        @classmethod
        def create_from_cloudformation_json(
            cls,
            resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,
            region_name: str,
            **_: Any,
        ) -> Resource:
            properties = cloudformation_json["Properties"]
            return cls(*make(resource_name, properties, account_id, region_name))

        @classmethod
        def update_from_cloudformation_json(
            cls,
            original_resource: Any,
            cloudformation_json: dict[str, Any],
            account_id: str,
            region_name: str,
            **_: Any,
        ) -> Any:
            if kind in _CHANGED:
                _CHANGED[kind](cloudformation_json, account_id, region_name)
            return original_resource

        @classmethod
        def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
            return None

    return Resource


class _Running:
    """One emulator a function and a digest of its code, up until the server ends."""

    def __init__(self, address: str) -> None:
        """`address` is where a function finds every service."""
        self._address = address
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._up: dict[tuple[str, str], Emulator] = {}
        self._turns: dict[Emulator, threading.Lock] = {}
        """An emulator takes one request at a time."""

    def emulator(self, function: Any) -> Emulator:
        key = (function.function_name, function.code_sha_256)
        with self._lock:
            if key not in self._up:
                temporary = tempfile.TemporaryDirectory(prefix="packager-deployed-")
                folder = Path(self._stack.enter_context(temporary))
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                    archive.extractall(folder)
                self._up[key] = self._stack.enter_context(
                    Emulator(
                        folder,
                        interpreter=interpreters.find(function.run_time.removeprefix("python")),
                        handler=function.handler,
                        memory_mb=int(function.memory_size),
                        timeout_seconds=int(function.timeout),
                        env={
                            **{name: str(v) for name, v in function.environment_vars.items()},
                            "AWS_ENDPOINT_URL": self._address,
                            "AWS_ACCESS_KEY_ID": "testing",
                            "AWS_SECRET_ACCESS_KEY": "testing",
                        },
                        network=True,
                        provided=tuple(f"{n}=={version(n)}" for n in ("boto3", "botocore")),
                    )
                )
                self._turns[self._up[key]] = threading.Lock()
            return self._up[key]

    def invoke(self, function: Any, event: Any) -> tuple[str, bool, str]:
        """Moto's own answer: the payload, whether the function failed, and its log."""
        emulator = self.emulator(function)
        with self._turns[emulator]:
            answer = emulator.invoke(json.dumps(event).encode())
        text = answer.body.decode()
        try:
            value = json.loads(text)
        except ValueError:
            return text, True, ""
        return text, isinstance(value, dict) and "errorType" in value, ""

    def close(self) -> None:
        self._stack.close()


def main(port: str) -> None:
    """Serve on the loopback interface until told to stop."""
    stacks.as_the_cloud_does()
    _let_rules_invoke()
    added = [_model(_ALIAS, _alias), _model("AWS::Lambda::Url", _url), _model(_GROUP, _group)]
    added += [_model(name, _recorded) for name in _RECORDED_ONLY]
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
    _name_versions()
    running = _Running(f"http://localhost:{port}")

    def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
        answer = running.invoke(function, event)
        if answer[1]:
            shifting.count_failure(function)
        return answer

    shifting = CodeDeploy(invoke)
    shifting.install()
    _SHIFTING.append(shifting)
    lambda_models.LambdaFunction._invoke_lambda = invoke
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(["-H", "127.0.0.1", "-p", port])
    finally:
        running.close()


if __name__ == "__main__":
    main(sys.argv[1])
