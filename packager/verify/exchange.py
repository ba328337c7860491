"""What goes to the booted function for a probe, and what its answer says."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from packager.emulator import Invocation, http_event
from packager.probes import Probe
from packager.types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An invocation, read: an HTTP status, and the JSON of the body."""

    status: int
    body: Json
    words: str = ""
    """What to show of a refusal: its code, never its message, which may quote the request."""


def event(probe: Probe) -> bytes:
    """What is sent to the function for a probe."""
    if probe.door == "direct":
        return probe.body
    sent = http_event("POST", "/invocations", probe.body, {"content-type": probe.content_type})
    return json.dumps(sent).encode()


def read(probe: Probe, answer: Invocation) -> Answered:
    """The status and body that the function answered with, whichever door it was asked by."""
    try:
        value = json.loads(answer.body)
    except ValueError:
        return Answered(status=502, body=None, words=answer.body[:80].decode(errors="replace"))
    if isinstance(value, dict) and "errorType" in value:
        status = answer.status if answer.status >= 400 else 500
        return Answered(status=status, body=None, words=str(value["errorType"]))
    if probe.door == "direct":
        return Answered(status=answer.status, body=value)
    if not isinstance(value, dict) or "statusCode" not in value:
        return Answered(status=502, body=None, words="an answer that is no HTTP response")
    status = int(value["statusCode"])
    try:
        text = value.get("body") or ""
        if value.get("isBase64Encoded"):
            text = base64.b64decode(text).decode()
        body = json.loads(text)
    except (ValueError, binascii.Error):
        return Answered(status=status, body=None, words="a body that is not JSON")
    code = str(body.get("error_code", "")) if isinstance(body, dict) else ""
    return Answered(status=status, body=body, words=code)


def ping() -> bytes:
    return json.dumps(http_event("GET", "/ping", b"", {})).encode()


def boot_failure(answer: Invocation) -> str | None:
    """The emulator's words where the function could not be started; None where it ran."""
    if answer.status not in {502, 500}:
        return None
    try:
        value = json.loads(answer.body)
    except ValueError:
        return answer.body.decode(errors="replace")
    return f"{value.get('errorType', '')}: {value.get('errorMessage', '')}".strip(": ")
