"""Kafka, of MSK or of one's own: partitions in order; a batch is taken whole or comes again.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html. The value of a record is JSON;
a record without one (a tombstone) is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from handlers.records import Outcome, Record, all_or_nothing
from handlers.tracing import parent

NAME = "kafka"
RETURNS = False


def claims(event: object) -> bool:
    if not isinstance(event, dict) or not isinstance(event.get("records"), dict):
        return False
    return event.get("eventSource") in ("aws:kafka", "SelfManagedKafka")


def records(event: Any) -> list[Record]:
    made = []
    for partition, found in event["records"].items():
        for record in found:
            if record.get("value") is None:
                continue
            name = f"{partition}-{record['offset']}"
            body = base64.b64decode(record["value"])
            trace = _trace(record.get("headers") or ())
            made.append(Record(id=name, item=name, body=body, group=partition, traceparent=trace))
    return made


def _trace(headers: Any) -> str | None:
    """A header's value is a list of its bytes, as signed numbers."""
    for header in headers:
        if "traceparent" in header:
            return parent(bytes(byte % 256 for byte in header["traceparent"]))
    return None


def reply(_: Any, outcomes: Sequence[Outcome]) -> None:
    all_or_nothing(outcomes)
