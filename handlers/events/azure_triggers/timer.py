"""A timer: at set times the request that lies in a blob then is scored.

https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-timer
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

NAME = "timer"
RETURNS = False
TYPES = {"event": func.TimerRequest, "request": func.InputStream}
ANSWER = "{rand-guid}"
BURIES = True


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (
        app.timer_trigger(arg_name="event", schedule="%PACKAGER_SCHEDULE%", run_on_startup=False),
        app.blob_input("request", path="%PACKAGER_TIMER_REQUEST%", connection=STORAGE),
    )


def list_entries(event: Arguments) -> Sequence[object]:
    """The invocation's name, and the blob."""
    return [(event["context"].invocation_id, event["request"])]


def identify_entry(entry: Any) -> tuple[object, object]:
    return entry[0], None


def read_entry(entry: Any) -> list[Record]:
    """A blob that is not there is a record that is not JSON."""
    name, request = entry
    return [Record(id=name, item=name, body=b"" if request is None else request.read())]
