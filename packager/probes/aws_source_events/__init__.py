"""An event of each source, as the service sends it, around a request that the model takes.

A source's is in the file of its name: `make_event(request)`. Shapes: the pages that each module
under handlers.events.aws_sources names.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from packager.types import Json


class _Form(Protocol):
    def make_event(self, request: object) -> object: ...


def source_event(name: str, request: object) -> Json:
    """`name` is one of handlers.events.aws_sources; `request` is decoded JSON of MLflow's forms."""
    form = cast(_Form, importlib.import_module(f"{__name__}.{name}"))
    return form.make_event(request)
