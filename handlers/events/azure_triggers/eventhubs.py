"""Event Hubs: a batch of a partition's events, scored in one call to the model.

The platform's checkpoint goes on whether or not an invocation failed. So a batch that fails is
tried again at once, a few times (a retry policy), and what can never be answered is put aside here.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-error-pages
"""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence

import azure.functions as func

from handlers.events.azure_triggers import EVENT_HUBS, Arguments, Decorator, make_reply
from handlers.events.records import Record, dig

__all__ = [
    "ANSWER",
    "BURIES",
    "NAME",
    "RETURNS",
    "TYPES",
    "identify_entry",
    "list_entries",
    "make_decorators",
    "make_reply",
    "read_entry",
]

NAME = "eventhubs"
RETURNS = False
TYPES = {"event": typing.List[func.EventHubEvent]}  # the worker knows no list[...]
ANSWER = "{rand-guid}"
BURIES = True


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (
        app.event_hub_message_trigger(
            "event",
            connection=EVENT_HUBS,
            event_hub_name="%PACKAGER_EVENT_HUB%",
            consumer_group="%PACKAGER_CONSUMER_GROUP%",
            cardinality=func.Cardinality.MANY,
        ),
        app.retry(
            strategy="exponential_backoff",
            max_retry_count="5",
            minimum_interval="00:00:02",
            maximum_interval="00:01:00",
        ),
    )


def list_entries(event: Arguments) -> Sequence[object]:
    found = event["event"]
    return found if isinstance(found, list) else [found]


def identify_entry(event: func.EventHubEvent) -> tuple[object, object]:
    """An event is named by its partition and its number there."""
    partition = _read_partition(event)
    return f"{partition}/{event.sequence_number}", partition


def read_entry(event: func.EventHubEvent) -> list[Record]:
    name, partition = identify_entry(event)
    return [Record(id=str(name), item=str(name), body=event.get_body(), group=str(partition))]


def _read_partition(event: func.EventHubEvent) -> str:
    """Empty where the host does not tell it."""
    found = (event.metadata or {}).get("PartitionContext")
    if isinstance(found, str):
        found = json.loads(found)
    return str(dig(found, "PartitionId") or "")
