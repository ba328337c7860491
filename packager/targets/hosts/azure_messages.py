"""Messages of each trigger as the host hands them on: bindings and metadata.

Shapes: https://learn.microsoft.com/en-us/azure/azure-functions/functions-triggers-bindings; the
values are typed as the worker's messages are (see packager/workers/azure_functions.py).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Message: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""Inputs by binding, and the trigger's metadata."""
_TIME: Final = "2026-01-01T00:00:00Z"


def _queue(body: bytes) -> Message:
    metadata = {
        "Id": {"string": "00000000-0000-4000-8000-000000000001"},
        "DequeueCount": {"string": "1"},
        "InsertionTime": {"json": _TIME},
        "ExpirationTime": {"json": _TIME},
        "NextVisibleTime": {"json": _TIME},
        "PopReceipt": {"string": "AgAAAAMAAAAAAAAA"},
    }
    return {"event": {"string": body.decode()}}, metadata


def _blob(body: bytes) -> Message:
    metadata = {
        "BlobTrigger": {"string": "requests/message.json"},
        "Uri": {"string": "https://account.blob.core.windows.net/requests/message.json"},
        "Properties": {"json": {"ContentLength": len(body)}},
        "Metadata": {"json": {}},
    }
    return {"event": _bytes(body)}, metadata


def _event_grid(body: bytes) -> Message:
    event = {
        "id": "00000000-0000-4000-8000-000000000001",
        "topic": "/subscriptions/0/resourceGroups/0/providers/Microsoft.EventGrid/topics/requests",
        "subject": "request",
        "eventType": "Request",
        "eventTime": _TIME,
        "data": json.loads(body),
        "dataVersion": "1.0",
    }
    return {"event": {"json": event}}, {}


def _service_bus(body: bytes) -> Message:
    metadata = {
        "MessageId": {"string": "00000000000000000000000000000001"},
        "ContentType": {"string": "application/json"},
        "CorrelationId": {"string": "1"},
        "DeliveryCount": {"string": "1"},
        "EnqueuedTimeUtc": {"json": _TIME},
        "SequenceNumber": {"string": "1"},
        "UserProperties": {"json": {}},
    }
    return {"event": {"string": body.decode()}}, metadata


def _event_hubs(body: bytes) -> Message:
    """Two events of one partition, alike."""
    system = [
        {"SequenceNumber": number, "Offset": number, "PartitionKey": None, "EnqueuedTimeUtc": _TIME}
        for number in range(2)
    ]
    metadata = {
        "SystemPropertiesArray": {"json": system},
        "PartitionContext": {"json": {"PartitionId": "0"}},
    }
    return {"event": {"collection_string": [body.decode()] * 2}}, metadata


def _timer(body: bytes) -> Message:
    status = {"Last": _TIME, "LastUpdated": _TIME, "Next": _TIME}
    timer = {"IsPastDue": False, "ScheduleStatus": status, "Schedule": {"AdjustForDST": True}}
    return {"event": {"json": timer}, "request": _bytes(body)}, {}


def _bytes(body: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(body).decode("ascii")}


MESSAGES: Final[Mapping[str, Callable[[bytes], Message]]] = MappingProxyType(
    {
        "queue": _queue,
        "blob": _blob,
        "eventgrid": _event_grid,
        "servicebus": _service_bus,
        "topic": _service_bus,
        "eventhubs": _event_hubs,
        "timer": _timer,
    }
)
"""By the trigger's name, as under handlers.events.triggers; each takes a body of JSON."""


def answers(outputs: Mapping[str, Any]) -> list[Any]:
    """The decoded messages of the binding `out`, whatever destination it is of."""
    sent = outputs.get("out")
    if sent is None:
        return []
    ((kind, value),) = sent.items()
    if kind == "bytes":
        return [json.loads(line) for line in base64.b64decode(value).splitlines()]
    texts = json.loads(value) if kind == "json" else [value]
    return [json.loads(text) for text in texts]
