"""DynamoDB Streams: the new image of each item is one row; removals have none and are passed over.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html; values:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_AttributeValue.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from handlers.records import Outcome, Record, item_failures, tagged

NAME = "dynamodb"
RETURNS = False
_WHOLE = re.compile(r"-?[0-9]+")


def claims(event: object) -> bool:
    return tagged(event, "eventSource", "aws:dynamodb")


def records(event: Any) -> list[Record]:
    return [
        Record(
            id=record["eventID"],
            item=record["dynamodb"]["SequenceNumber"],
            body={name: _plain(value) for name, value in record["dynamodb"]["NewImage"].items()},
            group=str(record.get("eventSourceARN", "")),
        )
        for record in event["Records"]
        if "NewImage" in record["dynamodb"]
    ]


def reply(_: Any, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The checkpoint: Lambda goes on at the lowest sequence number that is named."""
    return item_failures([outcome.record.item for outcome in outcomes if outcome.retry][:1])


def _plain(value: dict[str, Any]) -> Any:
    """An attribute value as JSON has it; binary stays base64 text, as MLflow takes it."""
    ((kind, held),) = value.items()
    if kind == "N":
        return _number(held)
    if kind == "NS":
        return [_number(each) for each in held]
    if kind == "NULL":
        return None
    if kind == "L":
        return [_plain(each) for each in held]
    if kind == "M":
        return {name: _plain(each) for name, each in held.items()}
    return held


def _number(text: str) -> int | float:
    return int(text) if _WHOLE.fullmatch(text) else float(text)
