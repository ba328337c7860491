"""A Service Bus queue: one message an invocation, so that each is settled by itself.

What fails comes again; beyond the queue's delivery count it is dead-lettered.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-service-bus-trigger
"""

from __future__ import annotations

from collections.abc import Sequence

import azure.functions as func

from handlers.events.azure_triggers import SERVICE_BUS, Arguments, Decorator, make_reply
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

NAME = "servicebus"
RETURNS = False
TYPES = {"event": func.ServiceBusMessage}
ANSWER = "{MessageId}"
BURIES = False


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    name = "%PACKAGER_SERVICEBUS_QUEUE%"
    return (app.service_bus_queue_trigger("event", connection=SERVICE_BUS, queue_name=name),)


def list_entries(event: Arguments) -> Sequence[object]:
    return [event["event"]]


def identify_entry(message: func.ServiceBusMessage) -> tuple[object, object]:
    return message.message_id, None


def read_entry(message: func.ServiceBusMessage) -> list[Record]:
    return [Record(id=message.message_id, item=message.message_id, body=message.get_body())]
