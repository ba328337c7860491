"""The SAM template: valid in both of its forms, and least of everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import Architecture, BuildPlan, Front, Runtime
from tests import fake_plan, sam


def _emitted(base: Path, plan: BuildPlan) -> str:
    root = fake_plan.tree(base / "tree", plan)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)
    return (out / "template.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[Front, str]:
    return {
        front: _emitted(
            tmp_path_factory.mktemp(front.value),
            fake_plan.plan(request=fake_plan.request(front=front)),
        )
        for front in Front
    }


def _resources(text: str, **parameters: Any) -> dict[str, Any]:
    resources: dict[str, Any] = sam.transformed(sam.uploaded(text), parameters)["Resources"]
    return resources


@pytest.mark.few(0)
@pytest.mark.parametrize("front", list(Front))
@pytest.mark.parametrize(
    ("architecture", "runtime"), [("x86_64", fake_plan.RUNTIME), ("arm64", fake_plan.OLD_RUNTIME)]
)
def test_cfn_lint_finds_nothing_in_the_transformed_form(
    tmp_path: Path, front: Front, architecture: Architecture, runtime: Runtime
) -> None:
    runtime = replace(runtime, name="python3.12" if not runtime.snapstart else runtime.name)
    request = fake_plan.request(front=front, architecture=architecture)
    text = _emitted(tmp_path, fake_plan.plan(request=request, runtime=runtime))
    everything = {
        "Tracing": "enabled",
        "HttpAuth": "NONE",
        "ReservedConcurrency": 5,
        "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
        "LogLevel": "DEBUG",
    }

    plain = sam.transformed(sam.uploaded(text), everything)

    assert sam.lint(json.dumps(plain)) == []
    assert plain["Resources"]["Function"]["Properties"]["Architectures"] == [architecture]


def test_cfn_lint_finds_nothing_in_the_sam_form(texts: dict[Front, str]) -> None:
    assert sam.lint(texts[Front.HTTP_API]) == []


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("was", "becomes", "rule"),
    [
        ("python3.13", "python3.99", "E3030"),
        ("Default: 30\n    MinValue: 1\n", "Default: 1000\n    MinValue: 1\n", "E2015"),
        ("LogGroup: !Ref LogGroup", "LogGroup: !Ref Nothing", "E1020"),
    ],
)
def test_a_broken_template_is_caught(
    texts: dict[Front, str], was: str, becomes: str, rule: str
) -> None:
    assert was in texts[Front.NONE]
    broken = sam.uploaded(texts[Front.NONE].replace(was, becomes))

    found = sam.lint(json.dumps(sam.transformed(broken)))

    assert rule in {line.partition(":")[0] for line in found}, found


def test_the_role_may_write_to_its_own_log_and_nothing_else(texts: dict[Front, str]) -> None:
    role = _resources(texts[Front.HTTP_API])["Role"]["Properties"]
    always, attached, keyed, traced = role["Policies"]

    assert "ManagedPolicyArns" not in role
    assert always["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["LogGroup", "Arn"]},
        }
    ]
    assert [each["Fn::If"][0] for each in (attached, keyed)] == ["IsInVpc", "HasKey"]
    assert [each["Fn::If"][2] for each in (attached, keyed)] == [{"Ref": "AWS::NoValue"}] * 2
    condition, granted, otherwise = traced["Fn::If"]
    assert (condition, otherwise) == ("IsTraced", {"Ref": "AWS::NoValue"})
    assert granted["PolicyDocument"]["Statement"][0]["Action"] == [
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    ]
    types = [each["Type"] for each in _resources(texts[Front.HTTP_API]).values()]
    others = [kind for kind in types if kind.startswith("AWS::IAM") and kind.endswith("Policy")]
    assert others == []


def test_no_front_is_open_unless_asked(texts: dict[Front, str]) -> None:
    for front in (Front.HTTP_API, Front.FUNCTION_URL, Front.REST_API):
        template = sam.parse(texts[front])
        assert template["Parameters"]["HttpAuth"]["Default"] == "AWS_IAM"
    for front, route in ((Front.HTTP_API, "InvocationsRoute"), (Front.FUNCTION_URL, "FunctionUrl")):
        template = sam.parse(texts[front])
        properties = template["Resources"][route]["Properties"]
        auth = properties.get("AuthorizationType") or properties["AuthType"]
        assert auth == {"Ref": "HttpAuth"}
    url = sam.parse(texts[Front.FUNCTION_URL])["Resources"]
    public = [
        name for name, spec in url.items() if spec.get("Properties", {}).get("Principal") == "*"
    ]
    assert {url[name]["Condition"] for name in public} == {"IsPublic"}
    assert "HttpAuth" not in texts[Front.NONE]


def test_routes_are_the_four_that_the_function_answers(texts: dict[Front, str]) -> None:
    resources = _resources(texts[Front.HTTP_API])
    routes = {
        spec["Properties"]["RouteKey"]
        for spec in resources.values()
        if spec["Type"] == "AWS::ApiGatewayV2::Route"
    }

    assert routes == {"POST /invocations", "GET /ping", "GET /health", "GET /version"}
    assert resources["HttpIntegration"]["Properties"]["PayloadFormatVersion"] == "2.0"
    assert resources["HttpIntegration"]["Properties"]["IntegrationUri"] == {
        "Ref": "FunctionAliaslive"
    }


@pytest.mark.parametrize("front", list(Front))
def test_a_changed_parameter_publishes_a_version(texts: dict[Front, str], front: Front) -> None:
    """A version's description is create-only: a new one replaces it, and the alias follows."""
    resources = _resources(texts[front])
    version = next(r for r in resources.values() if r["Type"] == "AWS::Lambda::Version")
    described, extra = version["Properties"]["Description"]["Fn::Sub"]
    described += json.dumps(extra)
    template = sam.parse(texts[front])
    asked = re.findall(r'"Fn::If": \["(\w+)"', described)
    described += json.dumps([template["Conditions"][name] for name in asked])
    function = json.dumps(resources["Function"])

    versioned = {
        name
        for name in template["Parameters"]
        if f'"{name}"' in function and name not in {"ReservedConcurrency", "CodeSigningConfigArn"}
    }
    assert {"MemorySizeMb", "LogLevel", "KmsKeyArn", "SubnetIds", "EphemeralStorageMb"} <= versioned
    said = {name for name in versioned if f"${{{name}}}" in described or f'"{name}"' in described}
    assert said == versioned
    assert "${Tracing}" in described


def test_changed_code_publishes_a_version(texts: dict[Front, str]) -> None:
    def version_of(key: str) -> list[str]:
        template = sam.uploaded(texts[Front.NONE])
        template["Resources"]["Function"]["Properties"]["CodeUri"] = f"s3://bucket/{key}"
        resources = sam.transformed(template)["Resources"]
        return [name for name, spec in resources.items() if spec["Type"] == "AWS::Lambda::Version"]

    assert version_of("one") == version_of("one")
    assert version_of("one") != version_of("two")


def test_alarms_watch_the_alias_and_notify_only_a_topic_that_is_given(
    texts: dict[Front, str],
) -> None:
    resources = _resources(texts[Front.FUNCTION_URL])
    alarms = {n: r["Properties"] for n, r in resources.items() if "Alarm" in r["Type"]}

    assert set(alarms) == {"ErrorsAlarm", "DurationAlarm", "HttpErrorsAlarm"}
    for alarm in alarms.values():
        dimensions = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
        assert dimensions["Resource"] == {"Fn::Sub": "${Function}:live"}
        assert alarm["AlarmActions"]["Fn::If"][0] == "HasAlarmTopic"
    assert alarms["DurationAlarm"]["ExtendedStatistic"] == "p99"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def test_the_front_decides_whether_the_function_expects_http(texts: dict[Front, str]) -> None:
    for front, text in texts.items():
        variables = sam.parse(text)["Resources"]["Function"]["Properties"]["Environment"]
        assert variables["Variables"].get("PACKAGER_HTTP") == (None if front is Front.NONE else "1")


def test_the_build_step_leaves_the_zip_alone(texts: dict[Front, str]) -> None:
    function = sam.parse(texts[Front.HTTP_API])["Resources"]["Function"]

    assert function["Metadata"] == {"SkipBuild": True}
    assert function["Properties"]["CodeUri"] == "function.zip"
    assert not any("resolve:" in text for text in _strings(function))
