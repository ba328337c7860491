"""Kinesis data streams: a shard's records in order; the first that fails is where it goes on.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html. The data of a record is JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from handlers.records import Outcome, Record, item_failures, tagged

NAME = "kinesis"
RETURNS = False


def claims(event: object) -> bool:
    return tagged(event, "eventSource", "aws:kinesis")


def records(event: Any) -> list[Record]:
    made = []
    for record in event["Records"]:
        stream = record["eventSourceARN"].rpartition("/")[2]
        data = record["kinesis"]
        made.append(
            Record(
                id=f"{stream}/{record['eventID']}",
                item=data["sequenceNumber"],
                body=base64.b64decode(data["data"]),
                group=stream,
            )
        )
    return made


def reply(_: Any, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The checkpoint: Lambda goes on at the lowest sequence number that is named."""
    return item_failures([outcome.record.item for outcome in outcomes if outcome.retry][:1])
