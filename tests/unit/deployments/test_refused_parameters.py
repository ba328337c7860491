"""Every parameter's wrong value, and every combination that cannot be, before anything is built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from packager.deployments._errors import DeploymentError
from packager.deployments._parameters import (
    known_parameters,
    parameters_of,
    source_parameters,
)
from packager.deployments._rules import check_before_build, check_rules, read_rules
from packager.deployments._settings import parse
from packager.types import Compute, Front, HttpAuth, Rollout
from tests import sam
from tests.unit.deployments import deploying

_KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-1111-2222-3333-444444444444"
_GOOD: Final[dict[str, tuple[str, ...]]] = {
    "SubnetIds": ("", "subnet-0a0a0a0a", "subnet-0a0a0a0a0a0a0a0a0, subnet-0b0b0b0b0b0b0b0b0"),
    "SecurityGroupIds": ("", "sg-0c0c0c0c0c0c0c0c0"),
    "KmsKeyArn": ("", _KEY, _KEY.replace("aws", "aws-us-gov", 1)),
    "PermissionsBoundaryArn": ("", "arn:aws:iam::123456789012:policy/team/bound"),
    "RolePath": ("/", "/serving/", "/a/b/"),
    "RoleNamePrefix": ("", "corp-", "x" * 32),
    "EphemeralStorageMb": ("512", "10240"),
    "ProvisionedConcurrency": ("0", "3"),
    "ProvisionedFrom": ("", "cron(0 7 ? * MON-FRI *)", "at(2026-12-01T07:00:00)", "rate(1 day)"),
    "JwtIssuer": ("", "https://issuer.example.com"),
    "JwtAudience": ("", "one", "one,api://two"),
    "CorsAllowOrigins": ("", "*", "https://a.example,http://localhost:3000"),
    "DomainName": ("", "api.example.com", "*.example.com"),
    "BasePath": ("", "models/churn"),
    "TimeoutSeconds": ("1", "1800"),
    "RequestsPerSecond": ("1",),
}
_WRONG: Final[dict[str, tuple[str, ...]]] = {
    "SubnetIds": ("vpc-1", "subnet", "subnet-1;subnet-2", "subnet-0a,sg-0b", "Subnet-1", "a b"),
    "SecurityGroupIds": ("default", "subnet-1", "sg-", "sg-1,,x"),
    "KmsKeyArn": (
        "alias/mine",
        "arn:aws:kms:us-east-1:123456789012:alias/mine",
        "0f0f0f0f-1111-2222-3333-444444444444",
        f"{_KEY} ",
    ),
    "PermissionsBoundaryArn": ("bound", "arn:aws:iam::1:policy/bound", _KEY),
    "RolePath": ("serving", "/serving", "serving/", "", "/a b/", "//"),
    "RoleNamePrefix": ("corp prod", "a/b", "x" * 33),
    "CodeSigningConfigArn": ("csc-1", _KEY),
    "EphemeralStorageMb": ("511", "10241", "1024.5", "1 GB", "-1", ""),
    "ProvisionedConcurrency": ("-1", "1.5", "many"),
    "ProvisionedConcurrencyMax": ("-1", "x"),
    "ProvisionedFrom": ("7:00", "0 7 * * *", "cron()", "cron 0 7"),
    "ProvisionedUntil": ("19:00", "cron(0 19"),
    "ProvisionedTimezone": ("", "+1", "Berlin time"),
    "ReservedConcurrency": ("-2", "x"),
    "TimeoutSeconds": ("0", "-1", "1801", "1.5"),
    "MemorySizeMb": ("127", "10241", "512MB"),
    "LogRetentionDays": ("2", "0", "-1"),
    "LogLevel": ("debug", "TRACE"),
    "Tracing": ("yes", "Enabled"),
    "SnapStart": ("none", "true"),
    "HttpAuth": ("iam", "JWT_", "Cognito"),
    "JwtIssuer": ("http://issuer.example.com", "issuer.example.com", "https://", "https://a b"),
    "JwtAudience": ("a b", "a,b c"),
    "JwtScopes": ("a b",),
    "CorsAllowOrigins": (
        *("https://a.example/", "https://a.example/path", "a.example", "null", "https://A.example"),
        *("https://a.example https://b.example", "https://*.example", "ftp://a.example"),
    ),
    "RequestsPerSecond": ("0", "-1", "fast"),
    "RequestBurst": ("0", "-5"),
    "RequestsPerMonth": ("-1", "x"),
    "AccessLog": ("on", "true"),
    "DomainName": ("https://api.example.com", "API.example.com", "api.example.com/", "a b"),
    "CertificateArn": ("certificate/1", _KEY),
    "BasePath": ("/models", "models/", "a//b", "a b", "models/churn?x"),
    "AlarmTopicArn": ("topic", _KEY),
    "P99DurationAlarmMs": ("0", "-1", "x"),
    "DriftPsiAlarm": ("0", "-1", "x"),
    "Rollout": ("canary", "Canary"),
    "Revision": ("123456789", "a b"),
    "WeightsBucket": ("My_Bucket", "s3://bucket", "", "ab"),
    "WeightsPrefix": ("/weights", "weights/", "", "a b", "x" * 43),
    "WeightsAccessPointArn": ("fsap-1", _KEY, ""),
    "WeightsMountPath": ("/weights", "/mnt/", "mnt/weights", "/mnt/a/b"),
    "FormerWeights": ("bucket", "s3://bucket/a"),
    "FormerAccessPointArn": ("fsap-1",),
    "RolloutSignedBy": ("alias/mine", "key"),
    "RolloutEquivalence": ("yes",),
    "RolloutMinRows": ("-1", "x"),
}
_OF_INSTANCES: Final[dict[str, tuple[str, ...]]] = {
    "CapacityProviderArn": ("provider", _KEY),
    "MaxVcpus": ("1", "15001", "x"),
    "MaxConcurrency": ("0", "1601", "1.5"),
    "MemoryGibPerVcpu": ("1", "3", "16"),
    "MinEnvironments": ("-1", "15001"),
    "MaxEnvironments": ("-1", "x"),
    "InstanceTypes": ("m8g.* c8g", "m8g/large"),
    "MemorySizeMb": ("1024", "40000"),
    "TimeoutSeconds": ("0", "5401"),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in _GOOD.items() for value in values]
)
def test_a_value_that_can_be_meant_is_taken(name: str, value: str) -> None:
    assert parse({name: value}).parameters == {name: value}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in _WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_before_anything_is_built(name: str, value: str) -> None:
    with pytest.raises(DeploymentError, match=rf"(?s)^{name}={re.escape(value)} cannot be used: "):
        parse({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in _OF_INSTANCES.items() for value in values],
)
def test_a_wrong_value_for_instances_is_refused(name: str, value: str) -> None:
    with pytest.raises(DeploymentError, match=rf"^{name}={re.escape(value)} cannot be used: "):
        parse({"compute": Compute.MANAGED_INSTANCES.value, name: value})


def test_who_may_call_is_of_the_values_that_some_endpoint_has(tmp_path: Path) -> None:
    found: set[str] = set()
    for front in (Front.HTTP_API, Front.REST_API, Front.FUNCTION_URL):
        text = deploying.artifact(tmp_path / front.value, front=front, auth=HttpAuth.IAM)
        found |= {*parameters_of((text / "template.yaml").read_text())["HttpAuth"]["AllowedValues"]}

    assert found == {*known_parameters(None)["HttpAuth"]["AllowedValues"]}


def test_every_parameter_is_tried_with_a_wrong_value() -> None:
    """But for names of the deployer's own, which AWS alone knows."""
    known = known_parameters(Compute.MANAGED_INSTANCES)
    named = {"OutputBucket", "OutputName", "OutputPrefix", "PayloadPath", "InputPrefix"}
    tried = _WRONG.keys() | _OF_INSTANCES.keys() | named | source_parameters().keys()

    assert known.keys() - tried == set()


_SCHEDULE: Final = {"ProvisionedFrom": "cron(0 7 ? * * *)"}
_CERTIFICATE: Final = "arn:aws:acm:us-east-1:123456789012:certificate/1"
_PUBLIC_KEY: Final = "MCowBQYDK2VwAyEA" + 43 * "0" + "="
_COMBINATIONS: Final[tuple[tuple[dict[str, str], dict[str, object], str], ...]] = (
    ({"SubnetIds": "subnet-1"}, {}, "Give both SubnetIds and SecurityGroupIds"),
    ({"SecurityGroupIds": "sg-1"}, {}, "Give both SubnetIds and SecurityGroupIds"),
    (_SCHEDULE, {}, "Give both ProvisionedFrom and ProvisionedUntil"),
    (
        {**_SCHEDULE, "ProvisionedUntil": "cron(0 19 ? * * *)"},
        {},
        "A schedule needs ProvisionedConcurrencyMax",
    ),
    ({"ProvisionedConcurrencyMax": "2"}, {}, "needs ProvisionedConcurrency, the least"),
    (
        {"SnapStart": "PublishedVersions", "ProvisionedConcurrency": "1"},
        {},
        "exclude each other; add SnapStart=None",
    ),
    ({"HttpAuth": "JWT"}, {}, "needs JwtIssuer"),
    ({"HttpAuth": "JWT", "JwtIssuer": "https://a.example"}, {}, "needs JwtAudience"),
    ({}, {"auth": HttpAuth.JWT}, "needs JwtIssuer"),
    ({"JwtIssuer": "https://a.example"}, {"auth": HttpAuth.JWT}, "needs JwtAudience"),
    ({"CertificateArn": _CERTIFICATE}, {}, "give DomainName too"),
    ({"BasePath": "models"}, {}, "give DomainName too"),
    ({"CorsAllowOrigins": "*,https://a.example"}, {}, "has * alone"),
    ({"HttpAuth": "API_KEY"}, {}, "HttpAuth=API_KEY cannot be used: give one of AWS_IAM, JWT,"),
    (
        {"HttpAuth": "JWT"},
        {"front": Front.REST_API},
        "HttpAuth=JWT cannot be used: give one of AWS_IAM, API_KEY, NONE",
    ),
    (
        {"HttpAuth": "NONE"},
        {"front": Front.NONE},
        "front=none has no parameter HttpAuth. Leave it out, or set front to http-api or",
    ),
    (
        {"JwtIssuer": "https://a.example", "JwtScopes": "read"},
        {"front": Front.REST_API},
        "has no parameter JwtIssuer, JwtScopes. Leave it out, or set front to http-api.",
    ),
    ({"Rollout": "AllAtOnce"}, {}, "Rollout: only a build with a rollout has it. Set rollout to"),
    ({"RolloutSignedBy": _PUBLIC_KEY}, {}, "RolloutSignedBy: only a build with a rollout has it."),
    (
        {"RolloutEquivalence": "bit-equal"},
        {"rollout": Rollout.CANARY},
        "held to what RolloutSignedBy signed; give it too",
    ),
    ({"RolloutMinRows": "9"}, {"rollout": Rollout.LINEAR}, "RolloutSignedBy signed; give it too"),
    ({"RolloutSignedBy": "M" + "A" * 59}, {"rollout": Rollout.LINEAR}, "is no public key"),
    ({"WeightsBucket": "mine"}, {}, "Build it (`packager build --weights fetch`, or mount)"),
    ({"WeightsMountPath": "/mnt/w"}, {}, "name its folder as the model (-m dist/churn)"),
)


@pytest.mark.parametrize(("given", "build", "said"), _COMBINATIONS)
def test_a_combination_that_cannot_be_is_refused_before_anything_is_built(
    given: dict[str, str], build: dict[str, object], said: str
) -> None:
    with pytest.raises(DeploymentError, match=re.escape(said)) as caught:
        check_before_build(given, build, is_new=True)

    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("given", "build"),
    [
        ({}, {}),
        ({"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, {}),
        (
            {"ProvisionedConcurrency": "2", "ProvisionedConcurrencyMax": "5", "SnapStart": "None"},
            {},
        ),
        ({"HttpAuth": "JWT", "JwtIssuer": "https://a.example", "JwtAudience": "one"}, {}),
        ({"JwtIssuer": "https://a.example", "JwtAudience": "one"}, {"auth": HttpAuth.JWT}),
        ({"HttpAuth": "API_KEY"}, {"front": Front.REST_API}),
        ({"HttpAuth": "NONE"}, {"front": Front.FUNCTION_URL}),
        ({"DomainName": "api.example.com", "BasePath": "models"}, {}),
        ({"CorsAllowOrigins": "*"}, {}),
        ({"CorsAllowOrigins": "https://a.example,https://b.example"}, {}),
        ({"Rollout": "AllAtOnce"}, {"rollout": Rollout.CANARY}),
        (
            {"RolloutSignedBy": _PUBLIC_KEY, "RolloutEquivalence": "1e-6", "RolloutMinRows": "9"},
            {"rollout": Rollout.CANARY},
        ),
        # whether a function has snapshots is known once it is built
        ({"ProvisionedConcurrency": "2"}, {}),
    ],
)
def test_a_combination_that_can_be_is_taken(
    given: dict[str, str], build: dict[str, object]
) -> None:
    check_before_build(given, build, is_new=True)


def test_what_a_stack_may_have_is_no_fault_of_an_update() -> None:
    check_before_build({"HttpAuth": "JWT"}, {}, is_new=False)
    check_before_build({"RolloutMinRows": "9"}, {"rollout": Rollout.CANARY}, is_new=False)
    with pytest.raises(DeploymentError, match="give one of AWS_IAM, JWT"):
        check_before_build({"HttpAuth": "API_KEY"}, {}, is_new=False)


def test_where_the_weights_lie_is_no_setting() -> None:
    with pytest.raises(DeploymentError, match=r"weights cannot be set: .*packager build --weights"):
        parse({"weights": "fetch"})


def test_a_provider_is_named_or_has_a_network() -> None:
    build = {"compute": Compute.MANAGED_INSTANCES}
    arn = "arn:aws:lambda:us-east-1:123456789012:capacity-provider:mine"

    with pytest.raises(DeploymentError, match="Give CapacityProviderArn, or SubnetIds"):
        check_before_build({}, build, is_new=True)
    with pytest.raises(DeploymentError, match="has a network of its own"):
        check_before_build(
            {"CapacityProviderArn": arn, "SubnetIds": "subnet-1"}, build, is_new=True
        )
    check_before_build({"CapacityProviderArn": arn}, build, is_new=True)


@pytest.mark.parametrize("front", [Front.HTTP_API, Front.REST_API, Front.NONE])
def test_the_rules_of_a_template_are_read_as_cloudformation_reads_them(
    tmp_path: Path, front: Front
) -> None:
    auth = HttpAuth.JWT if front is Front.HTTP_API else HttpAuth.IAM
    text = (deploying.artifact(tmp_path, front=front, auth=auth) / "template.yaml").read_text()
    rules, declared = read_rules(text), parameters_of(text)

    assert rules.keys() == sam.parse(text)["Rules"].keys()
    given: dict[str, Any] = {"ProvisionedConcurrency": "1"}
    with pytest.raises(DeploymentError, match="add SnapStart=None"):
        check_rules(given, declared, rules)
    given |= {"SnapStart": "None"}
    if front is Front.HTTP_API:
        # the build's own default asks for tokens
        with pytest.raises(DeploymentError, match="needs JwtIssuer"):
            check_rules(given, declared, rules)
        given |= {"JwtIssuer": "https://a.example", "JwtAudience": "one"}
    check_rules(given, declared, rules)
