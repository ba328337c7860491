"""HTTP requests as Lambda hands them to a function: one event form per front.

Forms: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html,
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-alb.html, all as of 2026-11.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from packager.types import Json

EventKind: TypeAlias = Literal["rest-api", "http-api", "function-url", "alb"]

_DOMAIN: Final = "abcdefghij.execute-api.us-east-1.amazonaws.com"
_URL_DOMAIN: Final = "abcdefghij.lambda-url.us-east-1.on.aws"
_BALANCER_DOMAIN: Final = "models-1234567890.us-east-1.elb.amazonaws.com"
_ARN: Final = (
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/models/49e9d65c45c6791a"
)
_TIME: Final = "01/Jan/2026:00:00:00 +0000"
_EPOCH_MS: Final = 1767225600000
_CALLER: Final = "192.0.2.1"
_AGENT: Final = "packager"


def http_event(
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    kind: EventKind = "http-api",
) -> dict[str, object]:
    """The event that this front sends for the request; a body that is not UTF-8 goes as base64."""
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode("ascii"), True
    lowered = {name.lower(): value for name, value in headers.items()}
    event = _FORMS[kind](method, path, lowered)
    return {**event, "body": text or None, "isBase64Encoded": encoded}


def _http_api(method: str, path: str, headers: Mapping[str, str]) -> dict[str, object]:
    return _version_2(method, path, headers, domain=_DOMAIN, account="123456789012")


def _function_url(method: str, path: str, headers: Mapping[str, str]) -> dict[str, object]:
    return _version_2(method, path, headers, domain=_URL_DOMAIN, account="anonymous")


def _version_2(
    method: str, path: str, headers: Mapping[str, str], *, domain: str, account: str
) -> dict[str, object]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": domain, "user-agent": _AGENT, **headers},
        "requestContext": {
            "accountId": account,
            "apiId": domain.partition(".")[0],
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": _CALLER,
                "userAgent": _AGENT,
            },
            "requestId": "00000000-0000-0000-0000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": _TIME,
            "timeEpoch": _EPOCH_MS,
        },
    }


def _rest_api(method: str, path: str, headers: Mapping[str, str]) -> dict[str, object]:
    sent = {"Host": _DOMAIN, "User-Agent": _AGENT, **headers}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": _DOMAIN.partition(".")[0],
            "domainName": _DOMAIN,
            "domainPrefix": _DOMAIN.partition(".")[0],
            "extendedRequestId": "AAAAAAAAAAAAAAA=",
            "httpMethod": method,
            "identity": {"sourceIp": _CALLER, "userAgent": _AGENT},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": "00000000-0000-0000-0000-000000000000",
            "requestTime": _TIME,
            "requestTimeEpoch": _EPOCH_MS,
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
    }


def _balancer(method: str, path: str, headers: Mapping[str, str]) -> dict[str, object]:
    return {
        "requestContext": {"elb": {"targetGroupArn": _ARN}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": {"host": _BALANCER_DOMAIN, "x-forwarded-for": _CALLER, **headers},
    }


_FORMS: Final[dict[EventKind, Callable[[str, str, Mapping[str, str]], dict[str, Json]]]] = {
    "rest-api": _rest_api,
    "http-api": _http_api,
    "function-url": _function_url,
    "alb": _balancer,
}
