"""Messages of a record: its answer, or the record itself with why there is none."""

from __future__ import annotations

import binascii
import json
import re
from typing import TYPE_CHECKING

from handlers.events.records import Outcome
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from handlers.events.destinations import Message

_NOT_CARRIED = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
_ATTRIBUTE = 1000
"""Of an attribute's characters that are kept."""


def of_answer(source: str, outcome: Outcome, manifest: Manifest, *, once: bool) -> Message:
    """MLflow's answer, with the record's name and the model's."""
    from handlers.events.destinations import Message

    record = outcome.record
    head = {
        "id": record.id,
        "source": source,
        "model": manifest.model_name,
        "version": manifest.model_version,
    }
    if record.traceparent:
        head["traceparent"] = record.traceparent
    answer = outcome.answer or b"null"
    wrapped = answer.startswith(b'{"predictions": ')
    rest = answer[1:] if wrapped else b'"answer": ' + answer + b"}"
    return Message(
        id=f"{source}/{record.id}",
        body=json.dumps(head)[:-1].encode() + b", " + rest,
        group=record.group,
        attributes={"traceparent": record.traceparent} if record.traceparent else {},
        once=manifest.digest if once else "",
    )


def of_failure(source: str, outcome: Outcome) -> Message:
    """The record as it came, and why; what a queue does not carry as text is base64."""
    from handlers.events.destinations import Message

    record, error = outcome.record, outcome.error
    body, encoding = _write_body(record.body)
    return Message(
        id=f"{source}/{record.id}",
        body=body.encode(),
        group=record.group,
        attributes={
            "source": source,
            "record": _write_attribute(record.id),
            "encoding": encoding,
            "error_code": error.error_code if error else "UNKNOWN",
            "error_message": _write_attribute(error.message if error else ""),
        },
    )


def _write_attribute(text: str) -> str:
    return _NOT_CARRIED.sub("?", text)[:_ATTRIBUTE] or "-"


def _write_body(body: object) -> tuple[str, str]:
    """The body as text that a queue takes, and how it is written."""
    if not isinstance(body, (str, bytes)):
        try:
            return json.dumps(body), "text"
        except (TypeError, ValueError, RecursionError):
            return "-", "left out: it is no JSON, or is nested too deeply"
    try:
        text = body.decode() if isinstance(body, bytes) else body
        if text and not _NOT_CARRIED.search(text):
            return text, "text"
        raw = text.encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raw = body if isinstance(body, bytes) else b""
    # an empty message is none to a queue
    return binascii.b2a_base64(raw, newline=False).decode() or "=", "base64"
