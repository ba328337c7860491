"""Accounts with rules: keys, boundaries, paths and names of roles, and what a version keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from packager.deployments._parameters import FROZEN
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import Front, Rollout
from tests import fake_plan, sam
from tests.unit.pipeline.emit.test_emit_callers import _read_template, _transformed


def test_a_key_of_the_account_is_everywhere(folders: dict[Front, Path]) -> None:
    resources = _transformed(_read_template(folders, Front.REST_API))["Resources"]
    keyed = {
        "AWS::Logs::LogGroup": "KmsKeyId",
        "AWS::SQS::Queue": "KmsMasterKeyId",
        "AWS::DynamoDB::Table": "SSESpecification",
        "AWS::Lambda::Function": "KmsKeyArn",
    }
    found = set()
    for name, each in resources.items():
        if each["Type"] in keyed:
            found.add(each["Type"])
            assert "HasKey" in json.dumps(each["Properties"][keyed[each["Type"]]]), name
    assert found == set(keyed)


def test_every_role_is_bounded(folders: dict[Front, Path]) -> None:
    for front in folders:
        roles = [
            each["Properties"]
            for each in _transformed(_read_template(folders, front))["Resources"].values()
            if each["Type"] == "AWS::IAM::Role"
        ]
        assert roles
        for role in roles:
            assert role["Path"] == {"Ref": "RolePath"}
            assert role["PermissionsBoundary"]["Fn::If"][0] == "HasBoundary"


def test_every_role_is_named_by_the_account_s_prefix(folders: dict[Front, Path]) -> None:
    for front in folders:
        resources = _transformed(_read_template(folders, front))["Resources"]
        named = [
            each["Properties"]["RoleName"]["Fn::If"]
            for each in resources.values()
            if each["Type"] == "AWS::IAM::Role"
        ]
        assert [(test, other) for test, _, other in named] == [
            ("HasRoleNamePrefix", {"Ref": "AWS::NoValue"})
        ] * len(named)
        names = [name["Fn::Sub"][0] for _, name, _ in named]
        assert len(set(names)) == len(names)
        assert all(name.startswith("${RoleNamePrefix}${AWS::StackName}-") for name in names)


def test_a_role_that_is_replaced_makes_a_new_version(folders: dict[Front, Path]) -> None:
    """A version keeps its role: one that is gone takes the version that answers along."""
    for front in folders:
        template = sam.parse(_read_template(folders, front))
        described = template["Resources"]["Function"]["Properties"]["VersionDescription"]["Fn::Sub"]
        assert "${RoleId}" in described[0]
        assert described[1]["RoleId"] == {"Fn::GetAtt": ["Role", "RoleId"]}


def test_a_versions_description_has_room_for_the_longest_values(
    folders: dict[Front, Path],
) -> None:
    longest = {
        "MemorySizeMb": "10240",
        "TimeoutSeconds": "1800",
        "LogLevel": "WARNING",
        "Tracing": "disabled",
        "EphemeralStorageMb": "10240",
        "Snapshot": ", SnapStart",
        "Network": f", VPC subnet-{'0' * 17} sg-{'0' * 17}",
        "Key": f", key {'0' * 36}",
        "Path": f", {'0' * 60}",
        "RoleId": "A" * 21,
        "Revision": "r" * 8,
    }
    for front in folders:
        template = sam.parse(_read_template(folders, front))
        text, parts = template["Resources"]["Function"]["Properties"]["VersionDescription"][
            "Fn::Sub"
        ]
        named = set(re.findall(r"\$\{(\w+)\}", text))
        assert parts.keys() <= named <= longest.keys()
        assert len(re.sub(r"\$\{(\w+)\}", lambda found: longest[found[1]], text)) <= 256


def _list_parameters(value: object, template: Mapping[str, Mapping[str, object]]) -> set[str]:
    """The parameters that a value names, its conditions' too."""
    text = json.dumps(value)
    conditions = set(re.findall(r'"Fn::If": \["(\w+)"', text))
    named = {*re.findall(r"\$\{(\w+)\}", text), *re.findall(r'"Ref": "(\w+)"', text)}
    asked = [_list_parameters(template["Conditions"][each], template) for each in conditions]
    return (named & template["Parameters"].keys()).union(*asked)


@pytest.mark.parametrize(
    "output", ["s3://bucket/p", "sqs://queue", "dynamodb://table", "firehose://stream"]
)
def test_what_no_description_has_is_known_to_whoever_updates(tmp_path: Path, output: str) -> None:
    """`mlflow deployments update` gives another revision with these; the guide lists them."""
    events = ("sqs", "s3", "schedule", "kinesis", "sns", "eventbridge")
    request = fake_plan.request(front=Front.NONE, events=events, output_to=output, once=True)
    plan = fake_plan.plan(request=request)
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    (out := tmp_path / "out").mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    template = sam.parse((out / "template.yaml").read_text("utf-8"))
    function = template["Resources"]["Function"]["Properties"]
    described = _list_parameters(function["VersionDescription"], template)
    own = {"CodeSigningConfigArn", "ProvisionedConcurrency", "ReservedConcurrency"}
    frozen = {key: each for key, each in function.items() if key != "VersionDescription"}
    silent = _list_parameters(frozen, template) - own - described

    assert {"PayloadPath", "InputBucket", "InputPrefix", "ObjectsThrough"} <= silent <= FROZEN
    guide = (Path(__file__).parents[4] / "docs/guides/account-rules.md").read_text("utf-8")
    kept = guide.partition("## What a version keeps")[2].partition("\n## ")[0]
    assert sorted(FROZEN) == sorted(set(re.findall(r"`(\w+)`", kept)) & FROZEN)


@pytest.mark.parametrize("name", ["Function", "RolloutCheck"])
def test_every_function_keeps_the_rules_of_the_account(tmp_path: Path, name: str) -> None:
    plan = fake_plan.plan(request=fake_plan.request(rollout=Rollout.CANARY))
    out = tmp_path / "out"
    out.mkdir()
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    emit(package(verified, plan, out), verified, plan, out)
    resources = sam.parse((out / "template.yaml").read_text("utf-8"))["Resources"]
    policies = json.dumps(resources[f"{name}Role" if name != "Function" else "Role"])

    found = resources[name]["Properties"]
    for setting in ("KmsKeyArn", "CodeSigningConfigArn", "VpcConfig"):
        assert found[setting]["Fn::If"][2] == {"Ref": "AWS::NoValue"}
    assert "attach-to-vpc" in policies
    assert "use-key" in policies
