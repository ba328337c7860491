"""DynamoDB Streams: the new image of each item is one row; removals have none and are passed over.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html; values:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_AttributeValue.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, dig, item_failures, names_source

NAME = "dynamodb"
RETURNS = False
_WHOLE = re.compile(r"-?[0-9]+")
_AS_THEY_ARE = frozenset({"S", "BOOL", "SS", "B", "BS"})


def claims_event(event: object) -> bool:
    return names_source(event, "eventSource", "aws:dynamodb")


def list_entries(event: Any) -> Sequence[object]:
    found: list[Any] = event["Records"]
    return found


def identify_entry(record: object) -> tuple[object, object]:
    return dig(record, "dynamodb", "SequenceNumber"), _read_stream(record)


def read_entry(record: Any) -> list[Record]:
    change = record["dynamodb"]
    if "NewImage" not in change:
        return []
    return [
        Record(
            id=record["eventID"],
            item=change["SequenceNumber"],
            body={name: _read_attribute(value) for name, value in change["NewImage"].items()},
            group=_read_stream(record),
        )
    ]


def _read_stream(record: object) -> str:
    return str(dig(record, "eventSourceARN"))


def make_reply(_: object, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """The checkpoint: Lambda goes on at the lowest sequence number that is named."""
    return item_failures([outcome.record.item for outcome in outcomes if outcome.retry][:1])


def _read_attribute(value: dict[str, Any]) -> object:
    """An attribute value as JSON has it; binary stays base64 text, as MLflow takes it.

    Raises TypeError, ValueError or AttributeError for what is none.
    """
    ((kind, held),) = value.items()
    if kind == "N":
        return _read_number(held)
    if kind == "NS":
        return [_read_number(each) for each in held]
    if kind == "NULL":
        return None
    if kind == "L":
        return [_read_attribute(each) for each in held]
    if kind == "M":
        return {name: _read_attribute(each) for name, each in held.items()}
    if kind not in _AS_THEY_ARE:
        raise ValueError("an attribute value of no kind that DynamoDB has")
    return held


def _read_number(text: str) -> int | float:
    return int(text) if _WHOLE.fullmatch(text) else float(text)
