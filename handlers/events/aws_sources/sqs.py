"""SQS, standard and FIFO: a partial batch response names the messages that must come again.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html. Messages of the queue that the
stack made for a bucket's notices (PACKAGER_NOTICES) are handlers.events.aws_sources.s3's; in any
other queue a notice is a message as any.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, dig, item_failures, names_source, text_of
from handlers.observability.trace_context import parent

NAME = "sqs"
RETURNS = False


def claims_event(event: object) -> bool:
    return names_source(event, "eventSource", "aws:sqs") and not of_notices(event)


def of_notices(event: Any) -> bool:
    """Tell whether an event is of the queue whose ARN is PACKAGER_NOTICES."""
    return any(is_trusted(message) for message in event["Records"])


def is_trusted(message: object) -> bool:
    """Tell whether a message lay in that queue, which only the bucket may write to."""
    arn = os.environ.get("PACKAGER_NOTICES")
    return bool(arn) and dig(message, "eventSourceARN") == arn


def list_entries(event: Any) -> Sequence[object]:
    found: list[Any] = event["Records"]
    return found


def identify_entry(message: object) -> tuple[object, object]:
    return dig(message, "messageId"), _read_group(message)


def read_entry(message: Any) -> list[Record]:
    if message["eventSource"] != "aws:sqs":
        raise ValueError("a record of another source")
    name = message["messageId"]
    trace = dig(message, "messageAttributes", "traceparent", "stringValue")
    body = text_of(message["body"])
    return [
        Record(id=name, item=name, body=body, group=_read_group(message), traceparent=parent(trace))
    ]


def _read_group(message: object) -> Any:
    if not str(dig(message, "eventSourceARN")).endswith(".fifo"):
        return None
    return dig(message, "attributes", "MessageGroupId")


def make_reply(_: object, outcomes: Sequence[Outcome]) -> dict[str, object]:
    return item_failures([outcome.record.item for outcome in outcomes if outcome.retry])
