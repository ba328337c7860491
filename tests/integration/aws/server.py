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
from pathlib import Path
from typing import Any, ClassVar, Final

from moto.awslambda import models as lambda_models
from moto.cloudformation import models as stacks
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.server import main as serve

from packager import interpreters
from packager.emulator import Emulator
from tests import sam

_Attributes = dict[str, str]
_ALIAS: Final = "AWS::Lambda::Alias"
_FUNCTION: Final = "AWS::Lambda::Function"
_Made = tuple[str, _Attributes]
_Maker = Callable[[str, dict[str, Any], str, str], _Made]

_RECORDED_ONLY: Final = (
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
)


def _transform_sam(kind: type[Any]) -> None:
    """Have a stack or change set see its template as CloudFormation does after the transform."""
    parse = kind._parse_template

    def parse_and_transform(self: Any) -> None:
        parse(self)
        declared = self.template_dict.get("Transform") or ()
        if sam.TRANSFORM in ([declared] if isinstance(declared, str) else declared):
            self.template_dict = sam.transformed(self.template_dict, self.parameters or {})

    kind._parse_template = parse_and_transform


def _keep_outputs() -> None:
    """Have a stack that a change set made know its outputs and tags, as one made directly does."""
    apply = stacks.ChangeSet.apply

    def apply_and_output(self: Any) -> None:
        apply(self)
        stack = self.stack
        stack.template_dict = self.template_dict
        stack.tags = self.tags or stack.tags
        stack.output_map = parsing.OutputMap(stack.resource_map, self.template_dict, stack.stack_id)

    stacks.ChangeSet.apply = apply_and_output


def _update_in_order() -> None:
    """Have an update change the function before it publishes a version of it, as the cloud does.

    Moto takes a resource for gone that it cannot update; one that says `Retain` stays.
    """

    def update(self: Any, template: dict[str, Any], parameters: Any = None) -> None:
        changes = self.build_resource_diff(template, parameters)
        before, after = self._resource_json_map, template["Resources"]
        self._template, self.input_parameters = template, parameters or self.input_parameters
        self.load_mapping()
        self.load_parameters()
        self.load_conditions()
        self._resource_json_map = after
        for name in sorted(changes["Modify"], key=lambda n: after[n]["Type"] != _FUNCTION):
            changed = parsing.parse_and_update_resource(
                name, after[name], self, self._account_id, self._region_name
            )
            if changed is not None:
                self._parsed_resources[name] = changed
        for name in changes["Add"]:
            _ = self[name]
        for name in changes["Remove"]:
            gone = self._parsed_resources.pop(name)
            if before[name].get("DeletionPolicy") != "Retain":
                self._delete_resource(gone, before[name])

    parsing.ResourceMap.update = update


def _drop_no_value() -> None:
    """Have `AWS::NoValue` leave a list, as CloudFormation does; a template holds no other null."""
    clean = parsing.clean_json

    def clean_and_drop(value: Any, resources: Any) -> Any:
        found = clean(value, resources)
        return [item for item in found if item is not None] if isinstance(found, list) else found

    parsing.clean_json = clean_and_drop


def _alias(_: str, properties: dict[str, Any], account: str, region: str) -> _Made:
    backend = lambda_models.lambda_backends[account][region]
    name, function = properties["Name"], properties["FunctionName"]
    version = str(properties["FunctionVersion"])
    backend.create_alias(name, function, version, properties.get("Description", ""), {})
    return f"{backend.get_function(function).function_arn}:{name}", {}


def _move_alias(properties: dict[str, Any], account: str, region: str) -> None:
    backend = lambda_models.lambda_backends[account][region]
    name, function = properties["Name"], properties["FunctionName"]
    version = str(properties["FunctionVersion"])
    backend.update_alias(name, function, version, properties.get("Description", ""), {})


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
            if kind == _ALIAS:
                _move_alias(cloudformation_json["Properties"], account_id, region_name)
            return original_resource

        @classmethod
        def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
            return None

    return Resource


class _Running:
    """One emulator a function and a digest of its code, up until the server ends."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._up: dict[tuple[str, str], Emulator] = {}

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
                        env={name: str(v) for name, v in function.environment_vars.items()},
                    )
                )
            return self._up[key]

    def invoke(self, function: Any, event: Any) -> tuple[str, bool, str]:
        """Moto's own answer: the payload, whether the function failed, and its log."""
        answer = self.emulator(function).invoke(json.dumps(event).encode())
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
    for kind in (stacks.Stack, stacks.ChangeSet):
        _transform_sam(kind)
    _keep_outputs()
    _update_in_order()
    _drop_no_value()
    added = [_model(_ALIAS, _alias), _model("AWS::Lambda::Url", _url)]
    added += [_model(name, _recorded) for name in _RECORDED_ONLY]
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
    lambda_models.LambdaVersion.get_cfn_attribute = lambda version, _: str(version.version)
    running = _Running()

    def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
        return running.invoke(function, event)

    lambda_models.LambdaFunction._invoke_lambda = invoke
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(["-H", "127.0.0.1", "-p", port])
    finally:
        running.close()


if __name__ == "__main__":
    main(sys.argv[1])
