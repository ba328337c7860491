"""Event Hubs: a batch of a partition's events, scored in one call to the model.

The platform's checkpoint goes on whether or not an invocation failed. So a batch that fails is
tried again at once, a few times (a retry policy), and what can never be answered is put aside here.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-error-pages
"""

from __future__ import annotations

import json
import typing
from typing import Any

import azure.functions as func

from handlers.records import Record
from handlers.triggers import EVENT_HUBS, Arguments, Decorator, reply

__all__ = ["ANSWER", "BURIES", "NAME", "RETURNS", "TYPES", "bound", "records", "reply"]

NAME = "eventhubs"
RETURNS = False
TYPES = {"event": typing.List[func.EventHubEvent]}  # noqa: UP006 - the worker knows no list[...]
ANSWER = "{rand-guid}"
BURIES = True


def bound(app: func.Blueprint) -> tuple[Decorator, ...]:
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


def records(event: Arguments) -> list[Record]:
    """An event is named by its partition and its number there."""
    made = []
    for each in event["event"]:
        partition = _partition(each.metadata or {})
        name = f"{partition}/{each.sequence_number}"
        made.append(Record(id=name, item=name, body=each.get_body(), group=partition))
    return made


def _partition(metadata: Arguments) -> str:
    found: Any = metadata.get("PartitionContext") or {}
    if isinstance(found, str):
        found = json.loads(found)
    return str(found.get("PartitionId", ""))
