"""S3 object created: each object is a file of rows (see handlers.files).

It comes straight from the bucket, through a queue (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html,
whose keys are quoted as in a query), or through EventBridge
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html, whose keys are not). What is
no creation, and the test message of a new notification, is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

from handlers.records import FileRef, Outcome, Record, all_or_nothing, item_failures, tagged

NAME = "s3"
RETURNS = False
_CREATED = "Object Created"


def claims(event: object) -> bool:
    if tagged(event, "eventSource", "aws:s3") or _is_test(event):
        return True
    if tagged(event, "eventSource", "aws:sqs"):
        return _notified(event["Records"][0]) is not None  # type: ignore[index]
    return (
        isinstance(event, dict)
        and event.get("source") == "aws.s3"
        and isinstance(event.get("detail"), dict)
        and "bucket" in event["detail"]
    )


def records(event: Any) -> list[Record]:
    if "detail" in event:
        return _bus(event)
    if _is_test(event):
        return []
    made = []
    for record in event["Records"]:
        if record.get("eventSource") == "aws:s3":
            made += _created([record], None)
            continue
        notified = _notified(record)
        item = record["messageId"]
        if notified is None:  # for the failures queue: no message of such a queue's
            made.append(Record(id=item, item=item, body=record["body"]))
        else:
            made += _created(notified.get("Records", ()), item)
    return made


def reply(event: Any, outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    if tagged(event, "eventSource", "aws:sqs"):
        again = dict.fromkeys(outcome.record.item for outcome in outcomes if outcome.retry)
        return item_failures(list(again))
    all_or_nothing(outcomes)
    return None


def _is_test(event: object) -> bool:
    return isinstance(event, dict) and event.get("Event") == "s3:TestEvent"


def _notified(message: dict[str, Any]) -> dict[str, Any] | None:
    """What S3 put into a queue's message; None where it is another's."""
    body = message.get("body")
    if not isinstance(body, str) or not ('"aws:s3"' in body or "s3:TestEvent" in body):
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if tagged(found, "eventSource", "aws:s3") or _is_test(found) else None


def _created(found: Sequence[dict[str, Any]], item: str | None) -> list[Record]:
    made = []
    for record in found:
        if not str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated"):
            continue
        thing = record["s3"]["object"]
        file = FileRef(
            bucket=record["s3"]["bucket"]["name"],
            key=unquote_plus(thing["key"]),
            version=thing.get("versionId"),
            etag=thing.get("eTag"),
            sequencer=thing.get("sequencer"),
        )
        made.append(_record(file, item, record))
    return made


def _bus(event: dict[str, Any]) -> list[Record]:
    if event.get("detail-type") != _CREATED:
        return []
    detail = event["detail"]
    thing = detail["object"]
    file = FileRef(
        bucket=detail["bucket"]["name"],
        key=thing["key"],
        version=thing.get("version-id"),
        etag=thing.get("etag"),
        sequencer=thing.get("sequencer"),
    )
    return [_record(file, None, event)]


def _record(file: FileRef, item: str | None, told: dict[str, Any]) -> Record:
    name = f"{file.bucket}/{file.key}@{file.version or file.etag}"
    return Record(id=name, item=item or name, body=told, file=file)
