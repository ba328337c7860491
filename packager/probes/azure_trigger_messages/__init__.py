"""A message of each trigger as the host hands it on: bindings and metadata.

A trigger's is in the file of its name: `make_message(body)`. Shapes:
https://learn.microsoft.com/en-us/azure/azure-functions/functions-triggers-bindings; the values are
typed as the worker's messages are (see packager/workers/functions_worker.py).
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Mapping
from typing import Protocol, cast

from packager.probes.azure_trigger_messages._forms import Message
from packager.types import Json


class _Form(Protocol):
    def make_message(self, body: bytes) -> Message: ...


def trigger_message(name: str, body: bytes) -> Message:
    """`name` is one of handlers.events.azure_triggers; `body` is JSON."""
    form = cast(_Form, importlib.import_module(f"{__name__}.{name}"))
    return form.make_message(body)


def read_answers(outputs: Mapping[str, Json]) -> list[Json]:
    """The decoded messages of the binding `out`, whatever destination it is of."""
    sent = outputs.get("out")
    if sent is None:
        return []
    ((kind, value),) = sent.items()
    if kind == "bytes":
        return [json.loads(line) for line in base64.b64decode(value).splitlines()]
    texts = json.loads(value) if kind == "json" else [value]
    return [json.loads(text) for text in texts]
