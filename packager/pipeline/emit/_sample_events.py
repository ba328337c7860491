"""One event an entry, as each service sends it, around a request that the model takes.

Shapes: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
(HTTP API, payload 2.0; a function URL sends the same), .../set-up-lambda-proxy-integrations.html
(REST API) and https://docs.aws.amazon.com/lambda/latest/dg/services-alb.html.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Final

from packager.errors import ConfigurationError
from packager.probes.aws_source_events import source_event
from packager.types import ColumnSpec, Json, ResolvedModel, TensorSpec

_ACCOUNT: Final = "123456789012"
_REQUEST_ID: Final = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
_JSON: Final = "application/json"
_VALUES: Final[dict[str, object]] = {
    "boolean": True,
    "integer": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "string": "a",
    "binary": "YQ==",
    "datetime": "2000-01-01T00:00:00",
}


def events(model: ResolvedModel, sources: Iterable[str] = ()) -> dict[str, Json]:
    """File stem to event. Without an example or a signature the HTTP events ask for /ping.

    `sources` are names under handlers.events.aws_sources; there is none of these without a request
    to send.
    """
    body, content_type = sample(model)
    found: dict[str, Json] = {
        "http-api": _version_2("d-1a2b3c.execute-api.us-east-1.amazonaws.com", body, content_type),
        "function-url": _version_2("abc123.lambda-url.us-east-1.on.aws", body, content_type),
        "rest-api": _version_1(body, content_type),
        "alb": _load_balancer(body, content_type),
    }
    if (request := payload(model)) is not None:
        found["direct"] = request
        found |= {name: source_event(name, request) for name in sources}
    return found


def payload(model: ResolvedModel) -> object:
    """The direct invoke's payload; None where there is nothing to make it of."""
    return _payload(model, *sample(model))


def sample(model: ResolvedModel) -> tuple[bytes | None, str]:
    """The saved example's body, else one made from the signature, else None; its content type."""
    if model.example is not None:
        return model.example.body, model.example.content_type
    inputs = (model.signature or {}).get("inputs")
    if not inputs:
        return None, _JSON
    return json.dumps(_make_request(inputs)).encode(), _JSON


def _make_request(inputs: Sequence[ColumnSpec]) -> dict[str, object]:
    """A request of one row by a signature's inputs."""
    if any(spec.get("type") == "tensor" for spec in inputs):
        tensors = {spec.get("name"): _make_tensor(spec.get("tensor-spec") or {}) for spec in inputs}
        return {"inputs": next(iter(tensors.values())) if len(tensors) == 1 else tensors}
    row = [_column(spec) for spec in inputs]
    if not all(spec.get("name") for spec in inputs):
        return {"inputs": [row]}
    columns = [spec["name"] for spec in inputs]
    return {"dataframe_split": {"columns": columns, "data": [row]}}


def _column(spec: ColumnSpec) -> object:
    kind = spec.get("type")
    if kind in {"array", "sparse_vector"}:
        return [_column(spec.get("items") or {"type": "double"})]
    if kind == "object":
        fields = spec.get("properties") or {}
        return {name: _column(field) for name, field in sorted(fields.items())}
    if kind == "map":
        return {"key": _column(spec.get("values") or {"type": "string"})}
    return _VALUES.get(str(kind), 0)


def _make_tensor(spec: TensorSpec) -> object:
    dtype = str(spec.get("dtype", "float64"))
    value: object = "a" if dtype in {"str", "object", "bytes"} else dtype == "bool" and False
    if dtype.startswith(("float", "int", "uint", "complex")):
        value = 0.0 if dtype.startswith("float") else 0
    for length in reversed(spec.get("shape") or [-1]):
        value = [value] * (1 if int(length) < 0 else int(length))
    return value


def _payload(model: ResolvedModel, body: bytes | None, content_type: str) -> object:
    """Return a direct invoke's payload: the decoded body; a CSV body as `dataframe_split`."""
    if body is None:
        return None
    if "csv" not in content_type:
        return _decode_body(model, body)
    try:
        columns, *rows = csv.reader(io.StringIO(body.decode("utf-8")))
    except ValueError:
        # not UTF-8, or empty: an HTTP body may be that, a JSON payload cannot
        return None
    text = {
        spec.get("name")
        for spec in (model.signature or {}).get("inputs") or ()
        if spec.get("type") in {"string", "binary", "datetime"}
    }
    data = [
        [
            cell if name in text else _make_cell(cell)
            for name, cell in zip(columns, row, strict=False)
        ]
        for row in rows
    ]
    return {"dataframe_split": {"columns": columns, "data": data}}


def _decode_body(model: ResolvedModel, body: bytes) -> object:
    """MLflow writes NaN for what is missing, and Lambda takes strict JSON: null means the same.

    None where the body says Infinity, which JSON has no word for.
    """
    try:
        return json.loads(body, parse_constant=_make_strict)
    except _NoJsonError:
        return None
    except ValueError as error:
        source = model.example.source if model.example else "the signature"
        raise ConfigurationError(
            f"The example from {source} is not JSON: {error}. Give another with --example."
        ) from error


class _NoJsonError(Exception):
    pass


def _make_strict(constant: str) -> None:
    if constant != "NaN":
        raise _NoJsonError(constant)


def _make_cell(text: str) -> object:
    if text in {"", "NaN", "nan"}:
        return None
    try:
        value = json.loads(text.lower() if text in {"True", "False"} else text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list | str) else value


def _make_http_event(body: bytes | None) -> tuple[str, str]:
    return ("GET", "/ping") if body is None else ("POST", "/invocations")


def _make_headers(host: str, body: bytes | None, content_type: str) -> dict[str, str]:
    found = {
        "accept": _JSON,
        "host": host,
        "x-forwarded-for": "203.0.113.10",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    if body is not None:
        found |= {"content-type": content_type, "content-length": str(len(body))}
    return dict(sorted(found.items()))


def _body(body: bytes | None) -> dict[str, object]:
    if body is None:
        return {"body": None, "isBase64Encoded": False}
    try:
        return {"body": body.decode("utf-8"), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode("ascii"), "isBase64Encoded": True}


def _version_2(host: str, body: bytes | None, content_type: str) -> object:
    method, path = _make_http_event(body)
    route = "$default" if ".lambda-url." in host else f"{method} {path}"
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": _make_headers(host, body, content_type),
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": host.partition(".")[0],
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.10",
                "userAgent": "example",
            },
            "requestId": _REQUEST_ID,
            "routeKey": route,
            "stage": "$default",
            "time": "01/Jan/2000:00:00:00 +0000",
            "timeEpoch": 946684800000,
        },
        **_body(body),
    }
    return {key: value for key, value in event.items() if value is not None}


def _version_1(body: bytes | None, content_type: str) -> object:
    method, path = _make_http_event(body)
    host = "d-1a2b3c.execute-api.us-east-1.amazonaws.com"
    headers = _make_headers(host, body, content_type)
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": "d-1a2b3c",
            "domainName": host,
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.10", "userAgent": "example"},
            "path": f"/live{path}",
            "protocol": "HTTP/1.1",
            "requestId": _REQUEST_ID,
            "requestTime": "01/Jan/2000:00:00:00 +0000",
            "requestTimeEpoch": 946684800000,
            "resourceId": "abc123",
            "resourcePath": path,
            "stage": "live",
        },
        **_body(body),
    }


def _load_balancer(body: bytes | None, content_type: str) -> object:
    method, path = _make_http_event(body)
    group = f"arn:aws:elasticloadbalancing:us-east-1:{_ACCOUNT}:targetgroup/model/0123456789abcdef"
    event = _body(body)
    return {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": _make_headers(
            "model-1234567890.us-east-1.elb.amazonaws.com", body, content_type
        ),
        **event,
        # a load balancer sends an empty body, not none
        "body": event["body"] or "",
    }
