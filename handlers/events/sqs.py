"""SQS, standard and FIFO: a partial batch response names the messages that must come again.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.records import Outcome, Record, item_failures, tagged
from handlers.tracing import parent

NAME = "sqs"
RETURNS = False


def claims(event: object) -> bool:
    return tagged(event, "eventSource", "aws:sqs")


def records(event: Any) -> list[Record]:
    return [
        Record(
            id=message["messageId"],
            item=message["messageId"],
            body=message["body"],
            group=(message.get("attributes") or {}).get("MessageGroupId")
            if str(message.get("eventSourceARN", "")).endswith(".fifo")
            else None,
            traceparent=parent(
                ((message.get("messageAttributes") or {}).get("traceparent") or {}).get(
                    "stringValue"
                )
            ),
        )
        for message in event["Records"]
    ]


def reply(_: Any, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return item_failures([outcome.record.item for outcome in outcomes if outcome.retry])
