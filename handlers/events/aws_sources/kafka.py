"""Kafka, of MSK or of one's own: partitions in order; a batch is taken whole or comes again.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html. The value of a record is JSON;
a record without one (a tombstone) is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, all_or_nothing, dig, text_of
from handlers.observability.trace_context import parent

NAME = "kafka"
RETURNS = False


def claims_event(event: object) -> bool:
    if not isinstance(event, dict) or not isinstance(event.get("records"), dict):
        return False
    return event.get("eventSource") in ("aws:kafka", "SelfManagedKafka")


def list_entries(event: Any) -> Sequence[object]:
    """Pairs of a partition's name and a record of it."""
    return [
        (partition, record)
        for partition, records in event["records"].items()
        for record in (records if isinstance(records, list) else [records])
    ]


def identify_entry(entry: Any) -> tuple[object, object]:
    partition, record = entry
    offset = dig(record, "offset")
    return None if offset is None else f"{partition}-{offset}", partition


def read_entry(entry: Any) -> list[Record]:
    partition, record = entry
    if record.get("value") is None:
        return []
    name = f"{partition}-{record['offset']}"
    body = base64.b64decode(text_of(record["value"]))
    trace = _read_trace(record.get("headers"))
    return [Record(id=name, item=name, body=body, group=partition, traceparent=trace)]


def _read_trace(headers: object) -> str | None:
    """A header's value is a list of its bytes, as signed numbers; none is worth a record."""
    for header in headers if isinstance(headers, list) else ():
        value = dig(header, "traceparent")
        if isinstance(value, list) and all(type(byte) is int for byte in value):
            return parent(bytes(byte % 256 for byte in value))
    return None


def make_reply(_: object, outcomes: Sequence[Outcome]) -> None:
    all_or_nothing(outcomes)
