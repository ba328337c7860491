"""A storage queue: one message an invocation, as many at once as host.json's batchSize.

What fails comes again; after maxDequeueCount the host moves it to the queue's `-poison`.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import azure.functions as func

from handlers.events.records import Record
from handlers.events.triggers import STORAGE, Arguments, Decorator, reply

__all__ = [
    "ANSWER",
    "BURIES",
    "NAME",
    "RETURNS",
    "TYPES",
    "bound",
    "entries",
    "identify",
    "read",
    "reply",
]

NAME = "queue"
RETURNS = False
TYPES = {"event": func.QueueMessage}
ANSWER = "{Id}"
BURIES = False


def bound(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (app.queue_trigger("event", queue_name="%PACKAGER_QUEUE%", connection=STORAGE),)


def entries(event: Arguments) -> Sequence[object]:
    return [event["event"]]


def identify(message: Any) -> tuple[object, object]:
    return message.id, None


def read(message: Any) -> list[Record]:
    return [Record(id=message.id, item=message.id, body=message.get_body())]
