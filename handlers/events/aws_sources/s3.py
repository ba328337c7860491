"""S3 object created: each object is a file of rows (see handlers.files).

It comes straight from the bucket, through a queue (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html,
whose keys are quoted as in a query), or through EventBridge
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html, whose keys are not). What is
no creation, and the test message of a new notification, is passed over.

A message is a notice only where it lay in the queue that the stack made for the bucket, whose ARN
is PACKAGER_NOTICES: others may write into other queues, and a notice names what the function reads.
There it may be in an envelope of SNS or EventBridge. In any other queue it is a message to score.
Whatever way it comes, an object that is not under PACKAGER_INPUT (`s3://bucket/prefix`), where that
is set, is passed over.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

from handlers.events import envelopes
from handlers.events.aws_sources import sqs
from handlers.events.records import (
    FileRef,
    Outcome,
    Record,
    all_or_nothing,
    dig,
    item_failures,
    names_source,
    text_of,
)
from handlers.scoring.errors import InvalidInputError
from handlers.values import remove_prefix

_LOG = logging.getLogger(__name__)

NAME = "s3"
RETURNS = False
_CREATED = "Object Created"


def claims_event(event: object) -> bool:
    if names_source(event, "eventSource", "aws:s3") or _is_test(event):
        return True
    if names_source(event, "eventSource", "aws:sqs"):
        return sqs.of_notices(event)
    return (
        isinstance(event, dict)
        and event.get("source") == "aws.s3"
        and dig(event, "detail", "bucket") is not None
    )


def list_entries(event: Any) -> Sequence[object]:
    if "detail" in event:
        return [event]
    found: list[Any] = [] if _is_test(event) else event["Records"]
    return found


def identify_entry(entry: object) -> tuple[object, object]:
    item = dig(entry, "messageId") or dig(entry, "id") or dig(entry, "s3", "object", "key")
    return item, None


def read_entry(entry: Any) -> list[Record]:
    if "detail" in entry:
        return _of_bus(entry, None)
    if entry["eventSource"] == "aws:s3":
        return _of_bucket([entry], None)
    if not sqs.is_trusted(entry):
        return sqs.read_entry(entry)  # beside messages of the queue of notices
    item = text_of(entry["messageId"])
    notice: Any = envelopes.open_envelopes(envelopes.decode_body(entry["body"]), of_files=True)
    if _is_test(notice):
        return []
    if names_source(notice, "eventSource", "aws:s3"):
        return _of_bucket(notice["Records"], item)
    if dig(notice, "source") == "aws.s3":
        return _of_bus(notice, item)
    raise InvalidInputError(
        "A message of the queue of notices is no notice of S3. Have the bucket alone write to it."
    )


def make_reply(event: object, outcomes: Sequence[Outcome]) -> dict[str, object] | None:
    if names_source(event, "eventSource", "aws:sqs"):
        again = dict.fromkeys(outcome.record.item for outcome in outcomes if outcome.retry)
        return item_failures(list(again))
    all_or_nothing(outcomes)
    return None


def _is_test(event: object) -> bool:
    return bool(dig(event, "Event") == "s3:TestEvent")


def _of_bucket(found: Sequence[dict[str, Any]], item: str | None) -> list[Record]:
    made = []
    for record in found:
        if not remove_prefix(str(record.get("eventName", "")), "s3:").startswith("ObjectCreated"):
            continue
        thing = record["s3"]["object"]
        file = FileRef(
            bucket=text_of(record["s3"]["bucket"]["name"]),
            key=unquote_plus(text_of(thing["key"])),
            version=_read_optional(thing.get("versionId")),
            etag=_read_optional(thing.get("eTag")),
            sequencer=_read_optional(thing.get("sequencer")),
        )
        made += _list_records(file, item, record)
    return made


def _of_bus(event: dict[str, Any], item: str | None) -> list[Record]:
    if event.get("detail-type") != _CREATED:
        return []
    detail = event["detail"]
    thing = detail["object"]
    file = FileRef(
        bucket=text_of(detail["bucket"]["name"]),
        key=text_of(thing["key"]),
        version=_read_optional(thing.get("version-id")),
        etag=_read_optional(thing.get("etag")),
        sequencer=_read_optional(thing.get("sequencer")),
    )
    return _list_records(file, item, event)


def _read_optional(value: object) -> str | None:
    return None if value is None else text_of(value)


def _list_records(file: FileRef, item: str | None, told: dict[str, object]) -> list[Record]:
    bucket, _, prefix = remove_prefix(os.environ.get("PACKAGER_INPUT", ""), "s3://").partition("/")
    if bucket and not (file.bucket == bucket and file.key.startswith(prefix)):
        _LOG.warning(
            "Passed over an object outside of PACKAGER_INPUT. Narrow the bucket's notices to that "
            "folder, or widen the variable."
        )
        return []
    name = f"{file.bucket}/{file.key}@{file.version or file.etag}"
    return [Record(id=name, item=item or name, body=told, file=file)]
