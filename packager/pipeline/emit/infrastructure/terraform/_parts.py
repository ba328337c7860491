"""Parts that CloudFormation has inside of a resource, and Terraform beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from packager.pipeline.emit.infrastructure.terraform._expressions import snake
from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Call,
    Code,
    Template,
    render_line,
)
from packager.pipeline.emit.infrastructure.terraform._properties import (
    NO_VALUE,
    Item,
    Nested,
    Plain,
    Property,
    convert_properties,
    list_cases,
)
from packager.pipeline.emit.infrastructure.terraform._template import (
    UntranslatableError,
    read_object,
    read_objects,
)
from packager.pipeline.emit.infrastructure.terraform._translation import (
    Resource,
    Translation,
    list_managed_policies,
    list_policies,
    make_block,
)

CODE: Final = "../function.zip"
"""The function's zip, beside the folder of the configuration."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Arguments beside a resource's properties, and the resources that come after it."""

    items: tuple[Item, ...] = ()
    last: tuple[Block, ...] = ()
    resources: tuple[Block, ...] = ()


def list_blocks(resource: Resource, translation: Translation) -> Iterator[Block]:
    """Yield the blocks of a resource. Raises UntranslatableError for what has no translation."""
    if not resource.kind.resource:
        return
    parts = _PARTS.get(resource.type, _make_none)(resource, translation)
    yield translation.make_main_block(resource, parts.items, parts.last)
    yield from parts.resources


def _make_none(_resource: Resource, _translation: Translation) -> Parts:
    return Parts()


def _make_policies(role: Resource, translation: Translation) -> Parts:
    made = []
    for label, (tests, policy) in list_policies(role).items():
        items = (
            Attribute("name", translation.convert(policy["PolicyName"])),
            Attribute("role", Code(translation.name_attribute(role.name, "Ref"))),
            Attribute("policy", translation.expressions.convert_json(policy["PolicyDocument"])),
        )
        made.append(make_block("aws_iam_role_policy", label, tests, items))
    for label, named in list_managed_policies(role).items():
        attached = (
            Attribute("role", Code(translation.name_attribute(role.name, "Ref"))),
            Attribute("policy_arn", translation.convert(named)),
        )
        made.append(make_block("aws_iam_role_policy_attachment", label, role.tests, attached))
    return Parts(resources=tuple(made))


def _make_code(function: Resource, translation: Translation) -> Parts:
    """Return where the code is; a function with versions publishes one at each change."""
    versions = [
        each
        for each in translation.resources.values()
        if each.type == "AWS::Lambda::Version"
        and each.properties["FunctionName"] == {"Ref": function.name}
    ]
    published: tuple[Item, ...] = (Attribute("publish", value=True),) if versions else ()
    code = read_object(function.properties["Code"], function.name)
    scaled = _make_scaling_config(function, translation)
    if "ImageUri" in code:
        image = Attribute("image_uri", Code("var.image_uri"))
        return Parts(items=(image, *published), resources=scaled)
    name = PurePosixPath(str(code["S3Key"])).name
    if name != PurePosixPath(CODE).name:
        return Parts(items=(*_name_file(_name_check(name)), *published))
    file = Template((Code("path.module"), f"/{CODE}"))
    path, digest = _name_file(file)
    direct = Code(f'var.code_bucket == "" ? {render_line(path.value)} : null')
    items = (
        Attribute("filename", direct),
        Attribute("s3_bucket", Code("one(aws_s3_object.code[*].bucket)")),
        Attribute("s3_key", Code("one(aws_s3_object.code[*].key)")),
        digest,
    )
    uploaded = make_block(
        "aws_s3_object",
        "code",
        ('var.code_bucket != ""',),
        (
            Attribute("bucket", Code("var.code_bucket")),
            Attribute(
                "key",
                Template((Code("var.stack_name"), "/", Call("filesha256", file), ".zip")),
            ),
            Attribute("source", file),
        ),
    )
    return Parts(items=(*items, *published), resources=(uploaded, *scaled))


def _make_scaling_config(function: Resource, translation: Translation) -> tuple[Block, ...]:
    """Return how many environments the version has that the function publishes last."""
    if "FunctionScalingConfig" not in function.properties:
        return ()
    known = {
        "MinExecutionEnvironments": Plain("min_execution_environments"),
        "MaxExecutionEnvironments": Plain("max_execution_environments"),
    }
    bounds = read_object(function.properties["FunctionScalingConfig"], function.name)
    address = translation.name_address(function)
    items = (
        Attribute("function_name", Code(f"{address}.function_name")),
        Attribute("qualifier", Code(f"{address}.version")),
        Block(
            "function_scaling_config",
            (),
            tuple(convert_properties(bounds, known, translation.expressions)),
        ),
    )
    kind = "aws_lambda_function_scaling_config"
    return (make_block(kind, function.label, function.tests, items),)


def _name_check(name: str) -> Code:
    """The check as `packager sign` packs it, where it was signed."""
    signed, plain = (
        render_line(Template((Code("path.module"), f"/{each}")))
        for each in (f"{PurePosixPath(name).stem}.signed.zip", name)
    )
    return Code(f"fileexists({signed}) ? {signed} : {plain}")


def _name_file(file: Template | Code) -> tuple[Attribute, Attribute]:
    digest = Call("filebase64sha256", file)
    return Attribute("filename", file), Attribute("source_code_hash", digest)


def _make_alias(alias: Resource, translation: Translation) -> Parts:
    """Return what keeps environments warm; CodeDeploy moves an alias that a rollout is of."""
    moved = Block(
        "lifecycle",
        (),
        (Attribute("ignore_changes", [Code("function_version"), Code("routing_config")]),),
    )
    warm = []
    for tests, each in list_cases(alias.properties.get("ProvisionedConcurrencyConfig", NO_VALUE)):
        known = {"ProvisionedConcurrentExecutions": Plain("provisioned_concurrent_executions")}
        items = (
            *_name_alias(alias, translation),
            *convert_properties(read_object(each, alias.name), known, translation.expressions),
        )
        kind = "aws_lambda_provisioned_concurrency_config"
        warm.append(make_block(kind, alias.label, (*alias.tests, *tests), items))
    return Parts(last=(moved,) if alias.update else (), resources=tuple(warm))


def _name_alias(alias: Resource, translation: Translation) -> tuple[Attribute, Attribute]:
    """Return the arguments by which an alias is named: its function, and itself."""
    function = translation.convert(alias.properties["FunctionName"])
    name = Code(f"{translation.name_address(alias)}.name")
    return Attribute("function_name", function), Attribute("qualifier", name)


def _make_permission(permission: Resource, translation: Translation) -> Parts:
    return Parts(items=_name_function(permission.properties["FunctionName"], translation))


def _make_url(url: Resource, translation: Translation) -> Parts:
    return Parts(items=_name_function(url.properties["TargetFunctionArn"], translation))


def _name_function(value: object, translation: Translation) -> tuple[Attribute, ...]:
    found = translation.find(value)
    if found.type == "AWS::Lambda::Alias":
        return _name_alias(found, translation)
    return (Attribute("function_name", translation.convert(value)),)


def _make_queue(policy: Resource, translation: Translation) -> Parts:
    match policy.properties["Queues"]:
        case [queue]:
            return Parts(items=(Attribute("queue_url", translation.convert(queue)),))
        case _:
            raise UntranslatableError(f"{policy.name}, the policy of several queues,")


def _make_table_key(table: Resource, translation: Translation) -> Parts:
    match table.properties["KeySchema"]:
        case [{"AttributeName": str(name), "KeyType": "HASH"}]:
            return Parts(items=(Attribute("hash_key", translation.convert(name)),))
        case _:
            raise UntranslatableError(f"the keys of {table.name}")


def _make_targets(rule: Resource, translation: Translation) -> Parts:
    known: dict[str, Property] = {
        "Id": Plain("target_id"),
        "Arn": Plain("arn"),
        "DeadLetterConfig": Nested("dead_letter_config", {"Arn": Plain("arn")}),
    }
    made = []
    for target in read_objects(rule.properties["Targets"], rule.name):
        address = translation.name_address(rule)
        items = (
            Attribute("rule", Code(f"{address}.name")),
            Attribute("event_bus_name", Code(f"{address}.event_bus_name")),
            *convert_properties(target, known, translation.expressions),
        )
        label = f"{rule.label}_{snake(str(target['Id']))}"
        made.append(make_block("aws_cloudwatch_event_target", label, rule.tests, items))
    return Parts(resources=tuple(made))


_SCALED: Final = ("service_namespace", "scalable_dimension", "resource_id")


def _name_scaled(target: Resource, translation: Translation) -> tuple[Attribute, ...]:
    """Return the arguments by which a target of scaling is named."""
    address = translation.name_address(target)
    return tuple(Attribute(name, Code(f"{address}.{name}")) for name in _SCALED)


def _make_schedule(target: Resource, translation: Translation) -> Parts:
    known: dict[str, Property] = {
        "ScheduledActionName": Plain("name"),
        "Schedule": Plain("schedule"),
        "Timezone": Plain("timezone"),
        "ScalableTargetAction": Nested(
            "scalable_target_action",
            {"MinCapacity": Plain("min_capacity"), "MaxCapacity": Plain("max_capacity")},
        ),
    }
    made = []
    for tests, actions in list_cases(target.properties.get("ScheduledActions", NO_VALUE)):
        for action in read_objects(actions, target.name):
            items = (
                *_name_scaled(target, translation),
                *convert_properties(action, known, translation.expressions),
            )
            label = f"{target.label}_{str(action['ScheduledActionName']).replace('-', '_')}"
            kind = "aws_appautoscaling_scheduled_action"
            made.append(make_block(kind, label, (*target.tests, *tests), items))
    return Parts(resources=tuple(made))


def _make_scaling(policy: Resource, translation: Translation) -> Parts:
    target = translation.find(policy.properties["ScalingTargetId"])
    return Parts(items=_name_scaled(target, translation))


def _make_redeployment(deployment: Resource, translation: Translation) -> Parts:
    """Return what deploys an API anew once its definition changes."""
    api = translation.name_address(translation.find(deployment.properties["RestApiId"]))
    changed = Attribute("triggers", {"redeployment": Code(f"sha1({api}.body)")})
    kept = Block("lifecycle", (), (Attribute("create_before_destroy", value=True),))
    return Parts(items=(changed,), last=(kept,))


def _make_methods(stage: Resource, translation: Translation) -> Parts:
    known = {
        "ThrottlingRateLimit": Plain("throttling_rate_limit"),
        "ThrottlingBurstLimit": Plain("throttling_burst_limit"),
    }
    made = []
    for each in read_objects(stage.properties.get("MethodSettings", []), stage.name):
        limits = {name: each[name] for name in known}
        path = f"{str(each['ResourcePath']).lstrip('/')}/{each['HttpMethod']}"
        items = (
            Attribute("rest_api_id", translation.convert(stage.properties["RestApiId"])),
            Attribute("stage_name", Code(translation.name_attribute(stage.name, "Ref"))),
            Attribute("method_path", path),
            Block(
                "settings", (), tuple(convert_properties(limits, known, translation.expressions))
            ),
        )
        kind = "aws_api_gateway_method_settings"
        made.append(make_block(kind, stage.label, stage.tests, items))
    return Parts(resources=tuple(made))


_PARTS: Final[Mapping[str, Callable[[Resource, Translation], Parts]]] = {
    "AWS::ApiGateway::Deployment": _make_redeployment,
    "AWS::ApiGateway::Stage": _make_methods,
    "AWS::ApplicationAutoScaling::ScalableTarget": _make_schedule,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _make_scaling,
    "AWS::DynamoDB::Table": _make_table_key,
    "AWS::Events::Rule": _make_targets,
    "AWS::IAM::Role": _make_policies,
    "AWS::Lambda::Alias": _make_alias,
    "AWS::Lambda::Function": _make_code,
    "AWS::Lambda::Permission": _make_permission,
    "AWS::Lambda::Url": _make_url,
    "AWS::SQS::QueuePolicy": _make_queue,
}
