"""Who may call over HTTP, and the rules of an account: what each parameter changes."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from packager.deployments._parameters import FROZEN
from packager.errors import ConfigurationError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.pipeline.plan import check
from packager.types import Front, HttpAuth, Rollout
from tests import fake_plan, sam

_KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/0f0f0f0f-1111-2222-3333-444444444444"
_ACCOUNT: Final = {
    "SubnetIds": "subnet-0a0a0a0a0a0a0a0a0,subnet-0b0b0b0b0b0b0b0b0",
    "SecurityGroupIds": "sg-0c0c0c0c0c0c0c0c0",
    "KmsKeyArn": _KEY,
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/bound",
    "RolePath": "/serving/",
    "RoleNamePrefix": "corp-",
    "EphemeralStorageMb": 2048,
    "ProvisionedConcurrency": 2,
    "ProvisionedConcurrencyMax": 9,
    "ProvisionedFrom": "cron(0 7 ? * MON-FRI *)",
    "ProvisionedUntil": "cron(0 19 ? * MON-FRI *)",
    "SnapStart": "None",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Front, Path]:
    """One artifact an endpoint, each with another proof of identity; the REST one has events."""
    found = {}
    for front, auth in (
        (Front.HTTP_API, HttpAuth.JWT),
        (Front.FUNCTION_URL, HttpAuth.NONE),
        (Front.REST_API, HttpAuth.API_KEY),
    ):
        extra: dict[str, Any] = {}
        if front is Front.REST_API:
            extra = {"events": ("sqs",), "output_to": "s3://bucket/p", "once": True}
        base = tmp_path_factory.mktemp(front.value)
        plan = fake_plan.plan(request=fake_plan.request(front=front, auth=auth, **extra))
        out = base / "out"
        out.mkdir()
        verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
        emit(package(verified, plan, out), verified, plan, out)
        found[front] = out
    return found


def _read_template(folders: dict[Front, Path], front: Front) -> str:
    return (folders[front] / "template.yaml").read_text("utf-8")


@functools.lru_cache
def _transformed(text: str) -> dict[str, Any]:
    return sam.transformed(sam.uploaded(text))


@pytest.mark.parametrize(
    ("front", "default"),
    [(Front.HTTP_API, "JWT"), (Front.FUNCTION_URL, "NONE"), (Front.REST_API, "API_KEY")],
)
def test_the_option_is_the_default_of_the_parameter(
    folders: dict[Front, Path], front: Front, default: str
) -> None:
    parameter = sam.parse(_read_template(folders, front))["Parameters"]["HttpAuth"]

    assert parameter["Default"] == default
    assert default in parameter["AllowedValues"]
    assert "AWS_IAM" in parameter["AllowedValues"]


def test_every_route_of_an_http_api_asks_for_the_token(
    folders: dict[Front, Path],
) -> None:
    resources = _transformed(_read_template(folders, Front.HTTP_API))["Resources"]
    routes = [each for each in resources.values() if each["Type"] == "AWS::ApiGatewayV2::Route"]

    assert len(routes) == 4
    for route in routes:
        assert route["Properties"]["AuthorizationType"] == {"Ref": "HttpAuth"}
        condition, authorizer, _ = route["Properties"]["AuthorizerId"]["Fn::If"]
        assert (condition, authorizer) == ("ChecksTokens", {"Ref": "TokenAuthorizer"})
    assert resources["TokenAuthorizer"]["Condition"] == "ChecksTokens"
    assert resources["TokenAuthorizer"]["Properties"]["JwtConfiguration"] == {
        "Issuer": {"Ref": "JwtIssuer"},
        "Audience": {"Ref": "JwtAudience"},
    }


def test_a_preflight_is_answered_before_the_function(
    folders: dict[Front, Path],
) -> None:
    api = _transformed(_read_template(folders, Front.HTTP_API))["Resources"]
    url = _transformed(_read_template(folders, Front.FUNCTION_URL))["Resources"]

    for cors in (
        api["HttpApi"]["Properties"]["CorsConfiguration"],
        url["FunctionUrl"]["Properties"]["Cors"],
    ):
        condition, given, otherwise = cors["Fn::If"]
        assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
        assert given["AllowOrigins"] == {"Ref": "CorsAllowOrigins"}
        assert "AllowCredentials" not in given
    keys = [each["Properties"].get("RouteKey", "") for each in api.values()]
    assert not any(key.startswith("OPTIONS") or key == "$default" for key in keys)


def test_an_access_log_holds_no_body_and_no_query(
    folders: dict[Front, Path],
) -> None:
    for front, kind, name in (
        (Front.HTTP_API, "HttpStage", "AccessLogSettings"),
        (Front.REST_API, "RestApiliveStage", "AccessLogSetting"),
    ):
        stage = _transformed(_read_template(folders, front))["Resources"][kind]["Properties"]
        _, settings, _ = stage[name]["Fn::If"]
        line = json.loads(settings["Format"])
        assert {"requestId", "status", "latencyMs"} <= line.keys()
        assert not re.search(
            r"body|query|authorizer|header|userAgent", settings["Format"], re.IGNORECASE
        )


def test_each_method_of_a_rest_api_asks_for_key_or_signature(
    folders: dict[Front, Path],
) -> None:
    resources = _transformed(_read_template(folders, Front.REST_API))["Resources"]
    paths = resources["RestApi"]["Properties"]["Body"]["paths"]

    assert set(paths) == {"/invocations", "/ping", "/health", "/version"}
    for methods in paths.values():
        (method,) = methods.values()
        condition, keyed, otherwise = method["security"]["Fn::If"]
        assert (condition, keyed) == ("AsksForKey", [{"ApiKey": []}])
        assert otherwise["Fn::If"][:2] == ["AsksForSignature", [{"Signature": []}]]
        assert method["x-amazon-apigateway-integration"]["type"] == "aws_proxy"
    for name in ("ApiKey", "UsagePlan", "UsagePlanKey"):
        assert resources[name]["Condition"] == "AsksForKey"


@pytest.mark.parametrize(
    ("front", "given"),
    [
        (
            Front.HTTP_API,
            {
                "JwtIssuer": "https://issuer.example.com",
                "JwtAudience": "one,two",
                "JwtScopes": "score",
                "CorsAllowOrigins": "https://app.example.com",
                "DomainName": "api.example.com",
                "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
                "BasePath": "models/churn",
            },
        ),
        (Front.FUNCTION_URL, {"CorsAllowOrigins": "https://app.example.com"}),
        (
            Front.REST_API,
            {"RequestsPerMonth": 5000, "AccessLog": "enabled", "DomainName": "api.example.com"},
        ),
    ],
)
def test_cfn_lint_finds_nothing_with_every_parameter_given(
    folders: dict[Front, Path],
    front: Front,
    given: dict[str, Any],
) -> None:
    template = sam.transformed(sam.uploaded(_read_template(folders, front)), {**_ACCOUNT, **given})

    assert sam.lint(json.dumps(template)) == []


def test_every_parameter_says_what_it_takes(
    folders: dict[Front, Path],
) -> None:
    for front in folders:
        for name, spec in sam.parse(_read_template(folders, front))["Parameters"].items():
            if name in {"ProvisionedTimezone", "OutputBucket", "OutputPrefix", "PayloadPath"}:
                continue
            lists = spec["Type"] == "CommaDelimitedList"
            assert lists or spec.keys() & {"AllowedValues", "AllowedPattern", "MinValue"}, name
            if "AllowedPattern" in spec and "Default" in spec:
                assert re.search(spec["AllowedPattern"], spec["Default"]), name


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


@pytest.mark.parametrize(
    ("front", "auth", "words"),
    [
        (
            Front.HTTP_API,
            HttpAuth.API_KEY,
            "takes iam or jwt or none. Give --http rest-api.",
        ),
        (Front.REST_API, HttpAuth.JWT, "Give --http http-api."),
        (Front.FUNCTION_URL, HttpAuth.JWT, "--http function-url takes iam or none."),
        (Front.NONE, HttpAuth.NONE, "--http none takes no HTTP caller at all."),
    ],
)
def test_what_an_endpoint_cannot_ask_for_is_refused_at_once(
    front: Front, auth: HttpAuth, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        check(fake_plan.request(front=front, auth=auth))


@pytest.mark.parametrize(
    ("name", "auth", "words"),
    [
        ("azure-functions", HttpAuth.NONE, "azure-functions takes jwt or api-key. Or leave it"),
        ("gpu-container", HttpAuth.API_KEY, "gpu-container takes jwt or none. Or leave it out."),
    ],
)
def test_other_targets_say_what_they_can_ask_of_callers(
    name: str, auth: HttpAuth, words: str
) -> None:
    request = fake_plan.request(target=name, auth=auth)

    with pytest.raises(ConfigurationError, match=re.escape(f"--auth {auth}: {words}")):
        check(request)


def test_the_page_shows_how_a_caller_proves_who_it_is(
    folders: dict[Front, Path],
) -> None:
    pages = {front: (out / "README.md").read_text("utf-8") for front, out in folders.items()}

    assert "authorization: Bearer $TOKEN" in pages[Front.HTTP_API]
    assert "x-api-key: $KEY" in pages[Front.REST_API]
    assert "--aws-sigv4" not in pages[Front.FUNCTION_URL]


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


def test_a_rest_api_has_one_stage(folders: dict[Front, Path]) -> None:
    resources = _transformed(_read_template(folders, Front.REST_API))["Resources"]
    stages = [
        each["Properties"]["StageName"]
        for each in resources.values()
        if "StageName" in each.get("Properties", {})
    ]

    assert stages == ["live"]


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
