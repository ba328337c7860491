"""Who may call over HTTP, and the rules of an account: what each parameter changes."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from packager.errors import ConfigurationError
from packager.pipeline.plan import check
from packager.types import Front, HttpAuth
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
        (method,) = (each for name, each in methods.items() if name != "options")
        condition, keyed, otherwise = method["security"]["Fn::If"]
        assert (condition, keyed) == ("AsksForKey", [{"ApiKey": []}])
        assert otherwise["Fn::If"][:2] == ["AsksForSignature", [{"Signature": []}]]
        assert method["x-amazon-apigateway-integration"]["type"] == "aws_proxy"
    for name in ("ApiKey", "UsagePlan", "UsagePlanKey"):
        assert resources[name]["Condition"] == "AsksForKey"


@pytest.mark.few(0)
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
            {
                "RequestsPerMonth": 5000,
                "AccessLog": "enabled",
                "DomainName": "api.example.com",
                "CorsAllowOrigins": "https://app.example.com,http://localhost:3000",
            },
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


def test_a_rest_api_has_one_stage(folders: dict[Front, Path]) -> None:
    resources = _transformed(_read_template(folders, Front.REST_API))["Resources"]
    stages = [
        each["Properties"]["StageName"]
        for each in resources.values()
        if "StageName" in each.get("Properties", {})
    ]

    assert stages == ["live"]


_PAGES: Final = "https://app.example.com,https://admin.example.com"


class _Text(str):
    """Java's text, as far as a template of API Gateway's asks it."""

    __slots__ = ()

    def contains(self, part: str) -> bool:
        return part in self


def _answer_preflight(options: dict[str, Any], headers: dict[str, str], allowed: str) -> Any:
    """Run a preflight's template as API Gateway does, and return the headers of its answer."""
    import airspeed

    integration = options["x-amazon-apigateway-integration"]
    assert integration["type"] == "mock"
    assert json.loads(integration["requestTemplates"]["application/json"]) == {"statusCode": 204}
    text = integration["responses"]["default"]["responseTemplates"]["application/json"]
    # the engine takes no hyphen in a name, as API Gateway does
    text = re.sub(r"(?<=[.]header[.])[A-Za-z-]+", lambda name: name[0].replace("-", "_"), text)
    given = SimpleNamespace(params=lambda: SimpleNamespace(header=headers))
    found: dict[str, str] = {}
    body = airspeed.Template(text).merge(
        {
            "input": given,
            "stageVariables": {"corsAllowOrigins": _Text(allowed)},
            "context": {"responseOverride": {"header": found}},
        }
    )
    assert body.strip() == ""
    return {name.lower().replace("_", "-"): value for name, value in found.items()}


@pytest.mark.parametrize("name", ["Origin", "origin"])
@pytest.mark.parametrize(
    ("origin", "allowed", "granted"),
    [
        ("https://app.example.com", _PAGES, "https://app.example.com"),
        ("https://admin.example.com", _PAGES, "https://admin.example.com"),
        ("https://any.example.org", "any", "*"),
        ("https://evil.example.org", _PAGES, None),
        ("https://app.example.co", _PAGES, None),
        ("app.example.com", _PAGES, None),
        ("null", _PAGES, None),
        ("", _PAGES, None),
    ],
)
def test_a_rest_api_answers_a_preflight_itself(
    folders: dict[Front, Path], name: str, origin: str, allowed: str, granted: str | None
) -> None:
    body = _transformed(_read_template(folders, Front.REST_API))["Resources"]["RestApi"][
        "Properties"
    ]["Body"]

    for methods in body["paths"].values():
        condition, options, otherwise = methods["options"]["Fn::If"]
        assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
        assert options["security"] == []
        (method,) = methods.keys() - {"options"}
        found = _answer_preflight(options, {name: origin} if origin else {}, allowed)
        assert found.get("access-control-allow-origin") == granted
        assert found["vary"] == "Origin"
        if granted is None:
            assert len(found) == 1
        else:
            assert found["access-control-allow-methods"] == method.upper()
            headers = found["access-control-allow-headers"].split(",")
            assert {"authorization", "content-type", "x-api-key", "x-amz-date"} <= {*headers}
            assert "access-control-allow-credentials" not in found


def test_what_a_rest_api_refuses_itself_may_be_read_by_a_page(
    folders: dict[Front, Path],
) -> None:
    resources = _transformed(_read_template(folders, Front.REST_API))["Resources"]
    body = resources["RestApi"]["Properties"]["Body"]
    condition, found, _ = body["x-amazon-apigateway-gateway-responses"]["Fn::If"]

    assert condition == "HasCors"
    assert set(found) == {"DEFAULT_4XX", "DEFAULT_5XX"}
    for each in found.values():
        assert each["responseParameters"] == {
            "gatewayresponse.header.Access-Control-Allow-Origin": "'*'"
        }


def test_a_rest_api_tells_its_function_which_pages_may_read(folders: dict[Front, Path]) -> None:
    stage = _transformed(_read_template(folders, Front.REST_API))["Resources"]["RestApiliveStage"]
    condition, variables, _ = stage["Properties"]["Variables"]["Fn::If"]

    assert condition == "HasCors"
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/stage-variables.html
    assert variables == {
        "corsAllowOrigins": {
            "Fn::If": ["AllowsAnyOrigin", "any", {"Fn::Join": [",", {"Ref": "CorsAllowOrigins"}]}]
        }
    }


def test_no_endpoint_allows_credentials(folders: dict[Front, Path]) -> None:
    """`*` and credentials exclude each other; nothing here answers for a cookie."""
    for front in folders:
        assert "credentials" not in _read_template(folders, front).lower()


def test_each_page_says_how_web_pages_are_let_in(folders: dict[Front, Path]) -> None:
    for front, out in folders.items():
        assert "| `CorsAllowOrigins` | empty |" in (out / "README.md").read_text("utf-8"), front
