"""A storage queue: one message an invocation, as many at once as host.json's batchSize.

What fails comes again; after maxDequeueCount the host moves it to the queue's `-poison`.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

from __future__ import annotations

from collections.abc import Sequence

import azure.functions as func

from handlers.events.azure_triggers import STORAGE, Arguments, Decorator, make_reply
from handlers.events.records import Record

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

NAME = "queue"
RETURNS = False
TYPES = {"event": func.QueueMessage}
ANSWER = "{Id}"
BURIES = False


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (app.queue_trigger("event", queue_name="%PACKAGER_QUEUE%", connection=STORAGE),)


def list_entries(event: Arguments) -> Sequence[object]:
    return [event["event"]]


def identify_entry(message: func.QueueMessage) -> tuple[object, object]:
    return message.id, None


def read_entry(message: func.QueueMessage) -> list[Record]:
    return [Record(id=message.id or "", item=message.id or "", body=message.get_body())]
