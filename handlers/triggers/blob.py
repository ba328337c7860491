"""A blob that appears in a container, told by Event Grid: the one way on Flex Consumption.

What fails comes again, five times in all, then its name goes to `webjobs-blobtrigger-poison`.
https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-blob-trigger
"""

from __future__ import annotations

import azure.functions as func

from handlers.records import Record
from handlers.triggers import STORAGE, Arguments, Decorator, reply

__all__ = ["ANSWER", "BURIES", "NAME", "RETURNS", "TYPES", "bound", "records", "reply"]

NAME = "blob"
RETURNS = False
TYPES = {"event": func.InputStream}
ANSWER = "{name}"
BURIES = False


def bound(app: func.Blueprint) -> tuple[Decorator, ...]:
    path = "%PACKAGER_CONTAINER%/{name}"
    source = func.BlobSource.EVENT_GRID
    return (app.blob_trigger("event", path=path, connection=STORAGE, source=source),)


def records(event: Arguments) -> list[Record]:
    blob = event["event"]
    return [Record(id=blob.name, item=blob.name, body=blob.read())]
