"""Event Grid: the data of an event, in its own schema or as a cloud event.

Event Grid tries for a day, so what can never be answered is put aside here.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-event-grid-trigger
"""

from __future__ import annotations

from collections.abc import Sequence

import azure.functions as func

from handlers.events.azure_triggers import Arguments, Decorator, make_reply
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

NAME = "eventgrid"
RETURNS = False
TYPES = {"event": func.EventGridEvent}
ANSWER = "{rand-guid}"
BURIES = True


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (app.event_grid_trigger("event"),)


def list_entries(event: Arguments) -> Sequence[object]:
    return [event["event"]]


def identify_entry(told: func.EventGridEvent) -> tuple[object, object]:
    return told.id, None


def read_entry(told: func.EventGridEvent) -> list[Record]:
    return [Record(id=told.id, item=told.id, body=told.get_json())]
