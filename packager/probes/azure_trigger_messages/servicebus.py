"""A message of a Service Bus queue."""

from __future__ import annotations

from packager.probes.azure_trigger_messages._forms import TIME, Message


def make_message(body: bytes) -> Message:
    metadata = {
        "MessageId": {"string": "00000000000000000000000000000001"},
        "ContentType": {"string": "application/json"},
        "CorrelationId": {"string": "1"},
        "DeliveryCount": {"string": "1"},
        "EnqueuedTimeUtc": {"json": TIME},
        "SequenceNumber": {"string": "1"},
        "UserProperties": {"json": {}},
    }
    return {"event": {"string": body.decode()}}, metadata
