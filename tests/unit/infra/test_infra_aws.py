"""The infrastructure that takes an emitted folder is valid, and enough for every folder."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest

from packager import targets
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system import resources
from packager.types import FileRecord, Front, HttpAuth, Rollout, Weights
from tests import fake_plan, sam

_ROLE: Final = resources.INFRA / "aws" / "deploy-role.yaml"
_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS::ApiGateway::ApiKey": ("apigateway:POST", "apigateway:GET", "apigateway:DELETE"),
    "AWS::ApiGateway::Deployment": ("apigateway:POST", "apigateway:GET", "apigateway:DELETE"),
    "AWS::ApiGateway::RestApi": ("apigateway:POST", "apigateway:PUT", "apigateway:DELETE"),
    "AWS::ApiGateway::Stage": ("apigateway:POST", "apigateway:PATCH", "apigateway:DELETE"),
    "AWS::ApiGateway::UsagePlan": ("apigateway:POST", "apigateway:PATCH", "apigateway:DELETE"),
    "AWS::ApiGateway::UsagePlanKey": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::Api": ("apigateway:POST", "apigateway:PATCH", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::ApiMapping": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::Authorizer": ("apigateway:POST", "apigateway:PATCH"),
    "AWS::ApiGatewayV2::DomainName": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::Integration": ("apigateway:POST", "apigateway:PATCH"),
    "AWS::ApiGatewayV2::Route": ("apigateway:POST", "apigateway:PATCH"),
    "AWS::ApiGatewayV2::Stage": ("apigateway:POST", "apigateway:PATCH"),
    "AWS::ApplicationAutoScaling::ScalableTarget": (
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:DeregisterScalableTarget",
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:PutScheduledAction",
        "application-autoscaling:DeleteScheduledAction",
        "application-autoscaling:DescribeScheduledActions",
        "iam:CreateServiceLinkedRole",
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": (
        "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:DeleteScalingPolicy",
        "application-autoscaling:DescribeScalingPolicies",
    ),
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch:PutDashboard",
        "cloudwatch:GetDashboard",
        "cloudwatch:DeleteDashboards",
    ),
    "AWS::CodeDeploy::Application": (
        "codedeploy:CreateApplication",
        "codedeploy:GetApplication",
        "codedeploy:DeleteApplication",
    ),
    "AWS::CodeDeploy::DeploymentGroup": (
        "codedeploy:CreateDeploymentGroup",
        "codedeploy:GetDeploymentGroup",
        "codedeploy:UpdateDeploymentGroup",
        "codedeploy:DeleteDeploymentGroup",
    ),
    "AWS::DynamoDB::Table": (
        "dynamodb:CreateTable",
        "dynamodb:DescribeTable",
        "dynamodb:UpdateTable",
        "dynamodb:DeleteTable",
        "dynamodb:DescribeTimeToLive",
        "dynamodb:UpdateTimeToLive",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:UpdateContinuousBackups",
        "dynamodb:TagResource",
    ),
    "AWS::Events::Rule": (
        "events:PutRule",
        "events:DescribeRule",
        "events:DeleteRule",
        "events:PutTargets",
        "events:RemoveTargets",
    ),
    "AWS::IAM::Role": (
        "iam:CreateRole",
        "iam:GetRole",
        "iam:DeleteRole",
        "iam:PutRolePolicy",
        "iam:GetRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:TagRole",
        "iam:PassRole",
        "iam:PutRolePermissionsBoundary",
    ),
    "AWS::Lambda::Alias": ("lambda:CreateAlias", "lambda:UpdateAlias", "lambda:DeleteAlias"),
    "AWS::Lambda::EventInvokeConfig": ("lambda:PutFunctionEventInvokeConfig",),
    "AWS::Lambda::EventSourceMapping": (
        "lambda:CreateEventSourceMapping",
        "lambda:UpdateEventSourceMapping",
        "lambda:DeleteEventSourceMapping",
        "lambda:GetEventSourceMapping",
    ),
    "AWS::Lambda::CapacityProvider": (
        "lambda:CreateCapacityProvider",
        "lambda:GetCapacityProvider",
        "lambda:UpdateCapacityProvider",
        "lambda:DeleteCapacityProvider",
    ),
    "AWS::Lambda::Function": (
        "lambda:CreateFunction",
        "lambda:UpdateFunctionCode",
        "lambda:DeleteFunction",
        "lambda:TagResource",
    ),
    "AWS::Lambda::Permission": ("lambda:AddPermission", "lambda:RemovePermission"),
    "AWS::Lambda::Url": ("lambda:CreateFunctionUrlConfig", "lambda:DeleteFunctionUrlConfig"),
    "AWS::Lambda::Version": ("lambda:PublishVersion",),
    "AWS::Logs::LogGroup": (
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
    ),
    "AWS::SNS::Subscription": ("sns:Subscribe", "sns:Unsubscribe"),
    "AWS::SQS::Queue": (
        "sqs:CreateQueue",
        "sqs:GetQueueAttributes",
        "sqs:SetQueueAttributes",
        "sqs:DeleteQueue",
        "sqs:TagQueue",
    ),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes",),
    "AWS::Scheduler::Schedule": (
        "scheduler:CreateSchedule",
        "scheduler:GetSchedule",
        "scheduler:UpdateSchedule",
        "scheduler:DeleteSchedule",
    ),
    "AWS::StepFunctions::StateMachine": (
        "states:CreateStateMachine",
        "states:DescribeStateMachine",
        "states:UpdateStateMachine",
        "states:DeleteStateMachine",
        "states:TagResource",
    ),
}
"""What CloudFormation calls for a type of resource; from `handlers` of the type's schema
(https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html)."""
_CODEDEPLOY: Final = (
    "codedeploy:CreateDeployment",
    "codedeploy:GetDeployment",
    "codedeploy:GetDeploymentConfig",
    "codedeploy:RegisterApplicationRevision",
)
"""What an alias's UpdatePolicy calls
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-updatepolicy.html)."""

_DELIVERY: Final = (
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery"),
    *("logs:DeleteLogDelivery", "logs:ListLogDeliveries"),
    *("logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
)
_KEY: Final = (
    *("kms:DescribeKey", "kms:CreateGrant", "kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"),
)
_BY_PROPERTY: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
    ("AWS::ApiGatewayV2::Stage", "AccessLogSettings"): _DELIVERY,
    ("AWS::ApiGateway::Stage", "AccessLogSetting"): _DELIVERY,
    ("AWS::Logs::LogGroup", "KmsKeyId"): ("logs:AssociateKmsKey", "logs:DisassociateKmsKey"),
    ("AWS::Lambda::Function", "KmsKeyArn"): _KEY,
    ("AWS::SQS::Queue", "KmsMasterKeyId"): _KEY,
    ("AWS::DynamoDB::Table", "SSESpecification"): _KEY,
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    ("AWS::Lambda::Function", "VpcConfig"): (
        *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
    ),
    ("AWS::Lambda::Function", "CodeSigningConfigArn"): (
        *("lambda:GetCodeSigningConfig", "lambda:PutFunctionCodeSigningConfig"),
    ),
    ("AWS::Lambda::Alias", "ProvisionedConcurrencyConfig"): (
        "lambda:PutProvisionedConcurrencyConfig",
    ),
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-filesystem.html
    ("AWS::Lambda::Function", "FileSystemConfigs"): (
        *("elasticfilesystem:DescribeMountTargets", "s3files:ListMountTargets"),
    ),
    ("AWS::Lambda::Function", "CapacityProviderConfig"): ("lambda:PassCapacityProvider",),
    ("AWS::Lambda::Function", "FunctionScalingConfig"): ("lambda:PutFunctionScalingConfig",),
    ("AWS::Lambda::Function", "ReservedConcurrentExecutions"): (
        *("lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency"),
    ),
    ("AWS::Lambda::EventSourceMapping", "EventSourceArn"): ("lambda:GetEventSourceMapping",),
    ("AWS::IAM::Role", "ManagedPolicyArns"): ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    ("AWS::IAM::Role", "PermissionsBoundary"): ("iam:PutRolePermissionsBoundary",),
    ("AWS::IAM::Role", "Tags"): ("iam:TagRole", "iam:UntagRole"),
}
"""What CloudFormation calls beside that for a property of a resource."""


def _statements(role: str) -> list[dict[str, Any]]:
    found = sam.parse(_ROLE.read_text("utf-8"))["Resources"][role]["Properties"]["Policies"]
    return [each for policy in found for each in policy["PolicyDocument"]["Statement"]]


def _grants(statement: Mapping[str, Any], action: str) -> bool:
    actions = statement["Action"]
    listed = [actions] if isinstance(actions, str) else actions
    return any(fnmatch.fnmatchcase(action, pattern) for pattern in listed)


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The resources of artifacts that together have every part of the template."""
    every = targets.load("aws-lambda").events.sources
    everything = {"output_to": "s3://bucket/p", "batch": True, "once": True}
    asked: list[dict[str, Any]] = [
        {"front": Front.HTTP_API, "rollout": Rollout.CANARY},
        {"front": Front.FUNCTION_URL},
        {"front": Front.REST_API, "auth": HttpAuth.API_KEY},
        {"front": Front.NONE, "events": every, **everything},
        *({"events": ("sqs",), "output_to": to} for to in _destinations()),
        {"weights": Weights.FETCH, "rollout": Rollout.LINEAR},
        {"weights": Weights.MOUNT, "front": Front.REST_API},
    ]
    plans = [fake_plan.plan(request=fake_plan.request(**settings)) for settings in asked]
    found = []
    listed = FileRecord(PurePosixPath("model.pkl"), fake_plan.DIGEST, 700 << 20)
    for plan in (*plans, fake_plan.plan_on_instances(rollout=Rollout.CANARY)):
        base = tmp_path_factory.mktemp("emitted")
        drift = {"drift-baseline.json": b"{}"}
        verified = fake_plan.verified(fake_plan.tree(base / "tree", plan, drift))
        out: Path = base / "out"
        out.mkdir()
        artifact = package(verified, plan, out)
        if plan.request.target.weights in {Weights.FETCH, Weights.MOUNT}:
            bundle = replace(verified.bundle, weights=(listed,), weights_root=base)
            verified = replace(verified, bundle=bundle)
        emit(artifact, verified, plan, out)
        template = sam.uploaded((out / "template.yaml").read_text("utf-8"))
        if "RolloutCheck" in template["Resources"]:
            template["Resources"]["RolloutCheck"]["Properties"]["CodeUri"] = "s3://b/check.zip"
        found.append(sam.transformed(template)["Resources"])
    return found


def _destinations() -> Iterator[str]:
    yield from ("sqs://queue", "eventbridge://bus", "dynamodb://table", "firehose://stream")


def test_cfn_lint_finds_nothing_in_the_pipeline_roles() -> None:
    found = sam.lint(_ROLE.read_text("utf-8"))

    # the actions of capacity providers are newer than the cfn-lint that Python 3.11 gets, and S3
    # Files is newer than any
    known = ("capacityprovider", "s3files")
    others = [each for each in found if not any(n in each.partition(" is not ")[0] for n in known)]
    assert others == []


@pytest.mark.few(0)
def test_cloudformation_may_make_whatever_a_template_holds(emitted: list[dict[str, Any]]) -> None:
    kinds = {each["Type"] for made in emitted for each in made.values()}
    granted = _statements("ExecutionRole")

    assert kinds == set(_ACTIONS), "a type of resource that no artifact has, or that has no actions"
    properties = {
        (each["Type"], name)
        for made in emitted
        for each in made.values()
        for name in each["Properties"]
    }
    assert _BY_PROPERTY.keys() - properties == set(), "a property that no artifact has"
    by_kind = (action for kind in sorted(kinds) for action in _ACTIONS[kind])
    needed = [*_CODEDEPLOY, *itertools.chain(*_BY_PROPERTY.values()), *by_kind]
    assert [a for a in needed if not any(_grants(each, a) for each in granted)] == []


def test_every_service_that_is_handed_a_role_may_be_handed_it(
    emitted: list[dict[str, Any]],
) -> None:
    services = {
        statement["Principal"]["Service"]
        for made in emitted
        for each in made.values()
        if each["Type"] == "AWS::IAM::Role"
        for statement in each["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }
    (passed,) = (each for each in _statements("ExecutionRole") if _grants(each, "iam:PassRole"))

    assert set(passed["Condition"]["StringEquals"]["iam:PassedToService"]) == services


def test_functions_are_put_on_providers_of_the_prefix_and_the_one_that_is_named() -> None:
    (used,) = [e for e in _statements("ExecutionRole") if e["Sid"] == "ProvidersUsed"]
    where = json.dumps(used["Resource"])

    assert "capacity-provider:${StackPrefix}*" in where
    assert "capacity-provider:${CapacityProvider}" in where
    assert "capacity-provider:*" not in where


def test_what_is_named_by_the_stack_is_granted_by_its_prefix() -> None:
    limited = {
        each["Sid"]: json.dumps(each["Resource"])
        for each in _statements("ExecutionRole")
        if each["Sid"] not in _OPEN
    }

    assert [name for name, where in limited.items() if "${StackPrefix}*" not in where] == []


def test_roles_are_granted_by_their_prefix_and_the_stacks() -> None:
    for each in _statements("ExecutionRole"):
        if each["Sid"] in {"Roles", "HandOver", "Operators"}:
            assert [one["Fn::Sub"].rpartition(":")[2] for one in each["Resource"]] == [
                "role/${RoleNamePrefix}${StackPrefix}*",
                "role/*/${RoleNamePrefix}${StackPrefix}*",
            ]


def test_the_policies_of_the_roles_are_no_longer_than_a_role_takes() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""
    template = sam.parse(_ROLE.read_text("utf-8"))
    longest = {
        name: "x" * spec.get("MaxLength", 63) for name, spec in template["Parameters"].items()
    }
    longest |= {
        "AWS::Partition": "aws",
        "AWS::Region": "ap-southeast-2",
        "AWS::AccountId": "1" * 12,
    }
    for name in ("ExecutionRole", "DeployRole"):
        policies = template["Resources"][name]["Properties"]["Policies"]
        text = json.dumps([each["PolicyDocument"] for each in policies], separators=(",", ":"))
        text = re.sub(r'\{"Fn::(?:Sub|GetAtt)":("[^"]*"|\[[^]]*\])\}', r"\1", text)
        text = re.sub(r'\{"Fn::If":\["\w+",("[^"]*"),\{"Ref":"AWS::NoValue"\}\]\}', r"\1", text)
        text = re.sub(r"\$\{([\w:]+)\}", lambda found: longest.get(found[1], "x" * 60), text)
        assert len(text) <= 10_240
        assert "x" * 40 in text


_OPEN: Final = {
    "Transform": "AWS's own",
    "Code": "one bucket",
    "LogsList": "a list is of all groups of an account",
    "HttpApis": "an API has an id that nobody chooses",
    "AccessLogs": "CloudWatch Logs has no narrower resource",
    "Networks": "EC2 has no narrower resource",
    "FileSystems": "a file system was there before",
    "Keys": "limited by the service that asks",
    "Signing": "a configuration has an id that nobody chooses",
    "ProviderRole": "AWS's own",
    "Warm": "Application Auto Scaling has an id that nobody chooses",
    "WarmRole": "AWS's own",
    "Subscriptions": "the topic was there before",
    "EventSources": "limited by the function",
    "EventSourcesRead": "a mapping has an id that nobody chooses",
    "RolloutSteps": "AWS's own",
}


def test_no_statement_grants_everything_on_everything() -> None:
    statements = [each for role in ("ExecutionRole", "DeployRole") for each in _statements(role)]

    open_ended = {
        each["Sid"] for each in statements if each["Resource"] == "*" and "Condition" not in each
    }
    assert open_ended == {"AccessLogs", "Networks", "Summary"}
    assert all(each["Action"] != "*" for each in statements)
