"""Terraform's files have the resources, parameters and conditions of the SAM template."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from packager.pipeline.emit.infrastructure.terraform import list_terraform_files
from packager.pipeline.emit.infrastructure.terraform._kinds import KINDS, Kind
from packager.pipeline.emit.infrastructure.terraform._template import UntranslatableError
from tests.unit.pipeline.emit.infrastructure.builds import (
    BUILDS,
    PARSED,
    Configuration,
    emit_build,
    load_schema,
    read_sam,
)
from tools import terraform_schema

Emitted = Callable[[str], Path]
_ARGUMENTS: Final = frozenset({"count", "depends_on", "lifecycle"})
every_build = pytest.mark.parametrize("name", list(BUILDS))
parsed_builds = pytest.mark.parametrize("name", PARSED)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()


def _configuration(out: Path) -> Configuration:
    return Configuration(out / "terraform")


def _list_cases(value: Any) -> Iterator[Any]:
    """Yield each thing that a list has, or may have by a condition."""
    for each in value:
        match each:
            case {"Fn::If": [_, yes, no]}:
                yield from (case for case in (yes, no) if case != {"Ref": "AWS::NoValue"})
            case _:
                yield each


def _count_parts(resource: Mapping[str, Any]) -> Counter[str]:
    """Count what Terraform has beside a resource, of what CloudFormation has inside of it."""
    properties = resource["Properties"]
    match resource["Type"]:
        case "AWS::IAM::Role":
            return Counter(
                aws_iam_role_policy=len([*_list_cases(properties.get("Policies", []))]),
                aws_iam_role_policy_attachment=len(properties.get("ManagedPolicyArns", [])),
            )
        case "AWS::Events::Rule":
            return Counter(aws_cloudwatch_event_target=len(properties["Targets"]))
        case "AWS::ApplicationAutoScaling::ScalableTarget":
            return Counter(aws_appautoscaling_scheduled_action=2)
        case "AWS::ApiGateway::Stage":
            return Counter(aws_api_gateway_method_settings=1)
        case "AWS::Lambda::Alias":
            warm = "ProvisionedConcurrencyConfig" in properties
            return Counter(aws_lambda_provisioned_concurrency_config=warm)
        case "AWS::Lambda::Function":
            return Counter(
                aws_s3_object=properties.get("Code", {}).get("S3Key") == "Function.zip",
                aws_lambda_function_scaling_config="FunctionScalingConfig" in properties,
            )
        case _:
            return Counter()


@pytest.mark.few(3)
@every_build
def test_each_resource_is_there_once(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    resources = read_sam(out)["Resources"]
    # a function publishes its versions itself
    versions = [key for key, each in resources.items() if each["Type"] == "AWS::Lambda::Version"]
    expected = {
        (KINDS[each["Type"]].resource, _snake(key))
        for key, each in resources.items()
        if key not in versions
    }
    parts = sum(map(_count_parts, resources.values()), Counter[str]())
    found = _configuration(out).find_texts("resource")

    assert expected <= found.keys()
    assert Counter(kind for kind, _ in found.keys() - expected) == parts
    published = [
        body for body in found.values() if re.search(r"^  publish += true$", body, re.MULTILINE)
    ]
    assert len(published) == len(versions) == 1


@every_build
def test_what_has_a_condition_is_counted_by_it(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    template = read_sam(out)
    found = _configuration(out).find_texts("resource")

    for key, each in template["Resources"].items():
        if each["Type"] != "AWS::Lambda::Version":
            body = found[KINDS[each["Type"]].resource, _snake(key)]
            counted = re.findall(r"^  count = local\.(\w+) \? 1 : 0$", body, re.MULTILINE)
            assert counted == [_snake(each[word]) for word in ("Condition",) if word in each], key


@pytest.mark.few(1)
@parsed_builds
def test_each_condition_is_a_local_value(emitted: Emitted, name: str) -> None:
    out = emitted(name)

    assert set(_configuration(out).locals) == set(map(_snake, read_sam(out)["Conditions"]))


@every_build
def test_each_parameter_and_each_output_is_there(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    template = read_sam(out)
    found = _configuration(out)
    own = {"stack_name", "image_uri" if "image" in name else "code_bucket"}
    rolled_out = {"deployment"} if BUILDS[name].get("rollout") else set()

    variables = {name for (name,) in found.find_texts("variable")}
    assert variables == {*map(_snake, template["Parameters"].keys() - {"Revision"}), *own}
    outputs = {name for (name,) in found.find_texts("output")}
    assert outputs == {*map(_snake, template["Outputs"]), *rolled_out}


@pytest.mark.few(2)
@parsed_builds
def test_each_variable_has_the_default_and_the_bounds(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    parameters = read_sam(out)["Parameters"]
    variables = _configuration(out).find_blocks("variable")

    del parameters["Revision"]  # of a version's description, which Terraform has none of
    for key, spec in parameters.items():
        variable = variables[_snake(key)]
        assert ("default" in variable) == ("Default" in spec), key
        if spec["Type"] == "CommaDelimitedList":
            assert variable["default"] == [each for each in spec["Default"].split(",") if each]
        elif spec["Type"] == "Number":
            assert float(variable["default"]) == float(spec["Default"])
        bounds = {"MinValue", "AllowedValues", "AllowedPattern", "MaxLength"} & spec.keys()
        assert len(variable.get("validation", [])) == len(bounds), key


@parsed_builds
def test_each_rule_is_a_precondition_of_the_function(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    rules = read_sam(out)["Rules"].values()

    (lifecycle,) = _configuration(out).resources["aws_lambda_function", "function"]["lifecycle"]
    assert len(lifecycle["precondition"]) == sum(len(each["Assertions"]) for each in rules) > 0


@pytest.mark.parametrize("version", ["5", "6"])
@parsed_builds
def test_each_argument_is_one_that_the_provider_takes(
    emitted: Emitted, name: str, version: str
) -> None:
    """5 is 5.100, 6 is 6.69."""
    schema = load_schema(version)
    found = _configuration(emitted(name))
    takes = re.findall(r'version = ">= (\d+)[.]\d+, < 7.0"', found.texts["versions.tf"])

    unknown = [
        f"{kind}.{label}: {wrong}"
        for (kind, label), body in found.resources.items()
        for wrong in _list_unknown(kind, body, schema)
    ]
    # what the configuration says of versions is so
    assert (unknown == []) is (int(version) >= int(takes[0])), unknown


def _list_unknown(kind: str, body: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if kind in schema:
        yield from _list_wrong(body, schema[kind], _ARGUMENTS)
    else:
        yield "the type"


def _list_wrong(
    body: Mapping[str, Any], schema: Mapping[str, Any], others: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield what a block has and the provider does not take, and what it misses."""
    blocks = {key: each for key, each in body.items() if key in schema["blocks"]}
    dynamic = [
        (key, block["content"][0])
        for each in body.get("dynamic", [])
        for key, block in each.items()
    ]
    known = {*schema["arguments"], *schema["blocks"], "dynamic", *others}
    yield from sorted(body.keys() - known)
    required = {key for key, needed in schema["arguments"].items() if needed}
    yield from (f"no {key}" for key in sorted(required - body.keys()))
    needed = {key for key, each in schema["blocks"].items() if each["required"]}
    yield from (f"no {key}" for key in sorted(needed - blocks.keys() - {key for key, _ in dynamic}))
    for key, found in [*((key, one) for key, each in blocks.items() for one in each), *dynamic]:
        yield from (f"{key}.{wrong}" for wrong in _list_wrong(found, schema["blocks"][key]))


def test_the_provider_has_every_type_of_the_table() -> None:
    types = {kind.resource for kind in KINDS.values() if kind.resource}

    assert types <= load_schema("6").keys()
    assert types - load_schema("5").keys() == {"aws_lambda_capacity_provider"}


_GONE_IN_6 = {"aws_api_gateway_deployment": {"invoke_url", "execution_arn"}}
# Of the types that are written, what version 6 has no more to read, as its upgrade guide has it:
# https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/version-6-upgrade


@every_build
def test_nothing_is_written_that_version_6_has_no_more(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    whole = "".join((out / "terraform" / file).read_text() for file in ("main.tf", "outputs.tf"))

    assert set(_GONE_IN_6) <= {kind.resource for kind in KINDS.values()}
    for kind, names in _GONE_IN_6.items():
        assert not re.search(rf"{kind}\.\w+(\[0\])?\.({'|'.join(names)})\b", whole)
    assert "data.aws_region.current.name" not in whole


@every_build
def test_each_role_is_named_by_the_prefix_and_the_stack(emitted: Emitted, name: str) -> None:
    found = _configuration(emitted(name)).find_texts("resource")
    roles = {label: body for (kind, label), body in found.items() if kind == "aws_iam_role"}
    named = [re.findall(r"^  name += (.*)$", body, re.MULTILINE) for body in roles.values()]

    assert roles
    assert all(
        len(names) == 1 and names[0].startswith('"${var.role_name_prefix}${var.stack_name}-')
        for names in named
    )
    assert len(set(map(str, named))) == len(named)


def test_a_name_cannot_become_an_expression(emitted: Emitted) -> None:
    found = _configuration(emitted("hostile names"))

    whole = "".join(found.texts.values())
    places = set(re.findall(r"\$\{([\w.]+?)[.\[}(]", whole))
    assert places <= {"var", "data", "path", "filesha256"} | {kind for kind, _ in found.resources}
    assert "${var.x}" not in whole
    assert "%{" not in whole


def test_text_of_a_template_cannot_become_an_expression() -> None:
    hostile = '${var.x} %{if true} "q" \\ \n'
    template: dict[str, dict[str, object]] = {
        "Parameters": {"Odd": {"Type": "String", "Default": hostile, "Description": hostile}},
        "Resources": {
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Code": {"S3Key": "function.zip"},
                    "Description": hostile,
                    "Environment": {"Variables": {hostile: hostile}},
                },
            }
        },
        "Outputs": {"Odd": {"Value": hostile, "Description": hostile}},
    }

    files = list_terraform_files(template, "churn", uploads=False)

    quoted = r'"$${var.x} %%{if true} \"q\" \\ \n"'
    assert files["main.tf"].count(quoted) == 3
    assert files["variables.tf"].count(quoted) == files["outputs.tf"].count(quoted) == 2


def test_a_rollout_leaves_the_alias_to_codedeploy(emitted: Emitted) -> None:
    found = _configuration(emitted("http-api with jwt and a canary"))
    alias = found.resources["aws_lambda_alias", "function_aliaslive"]
    group = found.resources["aws_codedeploy_deployment_group", "function_deployment_group"]

    (lifecycle,) = alias["lifecycle"]
    assert lifecycle["ignore_changes"] == ["function_version", "routing_config"]
    assert group["deployment_config_name"] == "CodeDeployDefault.Lambda${var.rollout}"
    request = found.find_blocks("output")["deployment"]["value"]
    for part in ("BeforeAllowTraffic", "rollout_check.function_name", "function.version"):
        assert part in request


def test_without_a_rollout_the_alias_has_the_new_version(emitted: Emitted) -> None:
    alias = _configuration(emitted("http-api")).resources["aws_lambda_alias", "function_aliaslive"]

    assert "lifecycle" not in alias
    assert alias["function_version"] == "${aws_lambda_function.function.version}"


def test_what_has_a_role_waits_for_the_policies_of_the_role(emitted: Emitted) -> None:
    found = _configuration(emitted("every source")).resources

    policies = {f"${{{kind}.{name}}}" for kind, name in found if name.startswith("role_")}
    assert set(found["aws_lambda_function", "function"]["depends_on"]) == policies
    assert found["aws_scheduler_schedule", "schedule"]["depends_on"] == [
        "${aws_iam_role_policy.schedule_role_invoke_function}",
        "${aws_iam_role_policy.schedule_role_use_key}",
    ]


def test_a_zip_that_lambda_does_not_take_directly_needs_a_bucket(tmp_path: Path) -> None:
    small = _configuration(emit_build(tmp_path / "small", "http-api", archive_bytes=50 << 20))
    large = _configuration(emit_build(tmp_path / "large", "http-api", archive_bytes=(50 << 20) + 1))

    assert small.find_blocks("variable")["code_bucket"]["default"] == ""
    assert "default" not in large.find_blocks("variable")["code_bucket"]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("function-url", ">= 6.29"),
        ("http-api", ">= 5.100"),
        ("weights mounted", ">= 5.100"),
        ("managed instances", ">= 6.55"),
        ("an image on managed instances", ">= 6.55"),
    ],
)
def test_what_is_newer_needs_the_provider_that_has_it(
    emitted: Emitted, name: str, least: str
) -> None:
    found = _configuration(emitted(name)).texts["versions.tf"]

    assert f'version = "{least}, < 7.0"' in found


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("Resources", {"Type": "AWS::EC2::Instance", "Properties": {}}, "AWS::EC2::Instance"),
        ("Resources", {"Type": "AWS::SQS::Queue", "Properties": {"Fifo": True}}, "Fifo"),
        ("Outputs", {"Value": {"Fn::Base64": "x"}}, "Fn::Base64"),
        ("Outputs", {"Value": {"Ref": "Nothing"}}, "Nothing"),
        ("Conditions", {"Fn::ValueOf": ["Subnet", "VpcId"]}, "Fn::ValueOf"),
    ],
)
def test_what_has_no_translation_is_not_left_out(
    section: str, value: dict[str, Any], said: str
) -> None:
    code = {"Code": {"S3Key": "function.zip"}}
    template: dict[str, dict[str, object]] = {
        "Parameters": {},
        "Conditions": {},
        "Outputs": {},
        "Resources": {"Function": {"Type": "AWS::Lambda::Function", "Properties": code}},
    }
    template[section]["Odd"] = value

    with pytest.raises(UntranslatableError, match=said):
        list_terraform_files(template, "churn", uploads=False)


def test_a_type_that_is_new_is_recorded_of_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert terraform_schema.list_types() == sorted(load_schema("6"))
    new = Kind(resource="aws_new", properties={})
    monkeypatch.setattr(terraform_schema, "KINDS", {"AWS::New": new})
    types: Any = {name: {"block": {}} for name in terraform_schema.list_types()}
    known = {"provider_schemas": {terraform_schema._PROVIDER: {"resource_schemas": types}}}
    (tmp_path / "all.json").write_text(json.dumps(known))
    monkeypatch.setattr(terraform_schema, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["terraform_schema", str(tmp_path / "all.json")])
    terraform_schema.main()

    assert "aws_new" in json.loads((tmp_path / "provider_schema_5.json").read_text())


_BINDINGS = """
class New(cdktn.TerraformResource):
    pass

class NewConfig(cdktn.TerraformMetaArguments):
    def __init__(self, *, count: int | None = None, name: str, rule: typing.Optional[
        typing.Union["IResolvable", typing.Sequence[typing.Union["NewRule", typing.Dict]]]] = None,
        docs: typing.Optional[str] = None) -> None:
        "See https://registry.terraform.io/providers/hashicorp/aws/6.69.1/docs/resources/new"

class NewRule:
    def __init__(self, *, path: str, every: typing.Optional[int] = None) -> None:
        pass
"""


def test_what_a_provider_takes_is_read_of_its_bindings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "cdktn.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("cdktn_provider_aws/new/__init__.py", _BINDINGS)
    new = Kind(resource="aws_new", properties={})
    monkeypatch.setattr(terraform_schema, "KINDS", {"AWS::New": new})

    version, kept = terraform_schema.record_schema(wheel)

    assert version == "6"
    rule = {"required": False, "arguments": {"path": True, "every": False}, "blocks": {}}
    assert kept == {
        "aws_new": {"arguments": {"name": True, "docs": False}, "blocks": {"rule": rule}}
    }
