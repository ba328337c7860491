"""A blob that appears in a container, told by Event Grid: the one way on Flex Consumption.

What fails comes again, five times in all, then its name goes to `webjobs-blobtrigger-poison`.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-blob-trigger
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

NAME = "blob"
RETURNS = False
TYPES = {"event": func.InputStream}
ANSWER = "{name}"
BURIES = False


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    path = "%PACKAGER_CONTAINER%/{name}"
    source = func.BlobSource.EVENT_GRID
    return (app.blob_trigger("event", path=path, connection=STORAGE, source=source),)


def list_entries(event: Arguments) -> Sequence[object]:
    return [event["event"]]


def identify_entry(blob: func.InputStream) -> tuple[object, object]:
    return blob.name, None


def read_entry(blob: func.InputStream) -> list[Record]:
    return [Record(id=blob.name or "", item=blob.name or "", body=blob.read())]
