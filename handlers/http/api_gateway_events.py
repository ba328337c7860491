"""HTTP requests as Lambda hands them over, told apart by shape and made safe to read.

Shapes: API Gateway REST (payload 1.0), API Gateway HTTP and function URLs (payload 2.0), and load
balancers with single or multi-value headers
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Event: TypeAlias = "dict[str, Any]"

_UNUSED = frozenset({"host", "x-forwarded-port"})
"""Headers that nothing here reads and that an adapter may fail to parse."""
_IDENTITY = r"[A-Za-z0-9=_:;.+/-]{1,128}"


class UnreadableBodyError(Exception):
    """A body that says it is base64 and is not."""


def is_http(event: object) -> bool:
    """Tell whether an event has a shape above; anything else is a direct invoke."""
    if not isinstance(event, dict) or not isinstance(event.get("requestContext"), dict):
        return False
    context = event["requestContext"]
    if event.get("version") == "2.0":
        http = context.get("http")
        return isinstance(http, dict) and {"method", "path"} <= http.keys()
    return isinstance(event.get("httpMethod"), str) and isinstance(event.get("path"), str)


def request_id(event: Event) -> str | None:
    """API Gateway's own id of the request, for the log."""
    found = event["requestContext"].get("requestId")
    return found if isinstance(found, str) and re.fullmatch(_IDENTITY, found) else None


def readable(event: Event, base_path: str = "") -> Event:
    """A copy without a stage or base path before its route, with every field as it should be.

    Raises UnreadableBodyError.
    """
    made = {**event, "requestContext": dict(event["requestContext"])}
    made["headers"] = _read_headers(event.get("headers"))
    if "multiValueHeaders" in event:
        made["multiValueHeaders"] = _many_headers(event["multiValueHeaders"])
    _clean_query(made)
    made["body"], made["isBase64Encoded"] = _read_body(event), False
    _set_path(made, base_path)
    context = made["requestContext"]
    if event.get("version") == "2.0":
        context["http"] = {**context["http"], "method": _clean_text(context["http"]["method"])}
        context["http"].setdefault("sourceIp", "")
    else:
        made["httpMethod"] = _clean_text(event["httpMethod"])
        identity = context.get("identity")
        context["identity"] = identity if isinstance(identity, dict) else {}
    if event.get("version") != "2.0" and "elb" not in made["requestContext"]:
        # what tells a REST event from others, which a bare proxy may leave out
        made.setdefault("resource", made["path"])
    return made


def _read_headers(found: object) -> dict[str, str]:
    if not isinstance(found, Mapping):
        return {}
    return {
        _clean_text(k): _clean_text(v) for k, v in found.items() if str(k).lower() not in _UNUSED
    }


def _clean_text(value: object) -> str:
    """Text that has bytes: no half of a character."""
    return str(value).encode("utf-8", "replace").decode()


def _many_headers(found: object) -> dict[str, list[str]]:
    if not isinstance(found, Mapping):
        return {}
    return {
        _clean_text(k): [_clean_text(v) for v in values]
        for k, values in found.items()
        if str(k).lower() not in _UNUSED and isinstance(values, list)
    }


def _clean_query(event: Event) -> None:
    """No route reads a query string; an odd one must not stop a request."""
    for name in ("queryStringParameters", "multiValueQueryStringParameters"):
        if name in event:
            event[name] = {}
    if "rawQueryString" in event:
        event["rawQueryString"] = ""
    event.pop("cookies", None)


def _read_body(event: Event) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    text = body if isinstance(body, str) else str(body)
    if not event.get("isBase64Encoded"):
        return text.encode("utf-8", errors="surrogatepass")
    import base64
    import binascii

    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableBodyError from error


def _set_path(event: Event, base_path: str) -> None:
    context = event["requestContext"]
    second = event.get("version") == "2.0"
    path = _clean_text(context["http"]["path"] if second else event["path"]) or "/"
    resource = event.get("resource")
    parameters = event.get("pathParameters")
    proxy = parameters.get("proxy") if isinstance(parameters, dict) else None
    if isinstance(resource, str) and resource.startswith("/") and "{" not in resource:
        # API Gateway's own route: what a custom domain put before it is already gone
        path = resource
    elif isinstance(resource, str) and isinstance(proxy, str) and path.endswith(f"/{proxy}"):
        path = f"/{proxy}"
    stage = context.get("stage")
    for prefix in (base_path, stage if isinstance(stage, str) else ""):
        path = _strip_prefix(path, prefix)
    if second:
        context["http"] = {**context["http"], "path": path}
        event["rawPath"] = path
    else:
        event["path"] = path


def _strip_prefix(path: str, prefix: str) -> str:
    """`/prod/ping` without `prod` is `/ping`; other paths stay as they are."""
    name = prefix.strip("/")
    if name and path.startswith(f"/{name}/"):
        return path[len(name) + 1 :]
    return path
