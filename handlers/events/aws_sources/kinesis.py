"""Kinesis data streams: a shard's records in order; the first that fails is where it goes on.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html. The data of a record is JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, dig, item_failures, names_source, text_of

NAME = "kinesis"
RETURNS = False


def claims_event(event: object) -> bool:
    return names_source(event, "eventSource", "aws:kinesis")


def list_entries(event: Any) -> Sequence[object]:
    found: list[Any] = event["Records"]
    return found


def identify_entry(record: object) -> tuple[object, object]:
    return dig(record, "kinesis", "sequenceNumber"), _read_stream(record)


def read_entry(record: Any) -> list[Record]:
    data, stream = record["kinesis"], _read_stream(record)
    return [
        Record(
            id=f"{stream}/{text_of(record['eventID'])}",
            item=data["sequenceNumber"],
            body=base64.b64decode(text_of(data["data"])),
            group=stream,
        )
    ]


def _read_stream(record: object) -> str:
    return str(dig(record, "eventSourceARN")).rpartition("/")[2]


def make_reply(_: object, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """The checkpoint: Lambda goes on at the lowest sequence number that is named."""
    return item_failures([outcome.record.item for outcome in outcomes if outcome.retry][:1])
