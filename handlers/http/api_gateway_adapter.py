"""HTTP events of API Gateway, function URLs and load balancers to requests, by Mangum's readers.

Mangum has one reader a kind of event. Importing `mangum` itself imports asyncio, ssl and sockets
for a class that is not used here: as much as an empty function's whole start. Its readers are
modules below it that need none of that. Whoever imports `mangum` later gets all of it.

They take `Protocol` and `TypedDict` from `typing_extensions`, a large module; Python's own `typing`
has both.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    class ReadEvent(Protocol):
        """An event that was read: the request in it, and what makes a response of an answer."""

        scope: Mapping[str, Any]
        body: bytes

        def __call__(self, answer: Mapping[str, object]) -> dict[str, object]: ...

    class Reader(Protocol):
        """A reader's class."""

        def infer(self, event: object, context: object, config: object) -> bool: ...
        def __call__(self, event: object, context: object, config: object) -> ReadEvent: ...


TEXT_TYPES = (
    *("text/", "application/json", "application/javascript", "application/xml"),
    *("application/vnd.api+json", "application/vnd.oai.openapi"),
)
"""What is not sent as base64: Mangum's own default."""


def read_event(event: object, context: object) -> ReadEvent:
    """Have an event read by the reader of its kind. Raises StopIteration where none is."""
    config = {
        "api_gateway_base_path": "/",
        "text_mime_types": [*TEXT_TYPES],
        "exclude_headers": [],
    }
    readers = (each for each in import_readers() if each.infer(event, context, config))
    return next(readers)(event, context, config)


def import_readers() -> tuple[Reader, ...]:
    """In Mangum's order. Its reader of CloudFront's events is left out: none come here."""
    if "mangum.handlers" not in sys.modules and "mangum" not in sys.modules:
        _import_handlers()
    from mangum.handlers.alb import ALB
    from mangum.handlers.api_gateway import APIGateway, HTTPGateway

    return ALB, HTTPGateway, APIGateway


def _import_handlers() -> None:
    """Import the folder below the package while a package that was not run stands in its place."""
    import importlib.util

    spec = importlib.util.find_spec("mangum")
    if spec is not None:
        sys.modules["mangum"] = importlib.util.module_from_spec(spec)
        try:
            _import_typed("mangum.types")
            importlib.import_module("mangum.handlers")
        finally:
            del sys.modules["mangum"]


def _import_typed(name: str) -> None:
    """Import a module while `typing` stands in the place of `typing_extensions`.

    A version that takes from it what `typing` lacks has it imported after all.
    """
    import importlib
    import typing

    if "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = typing
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # whoever needs the module imports it again, and says what is missing
    finally:
        sys.modules.pop("typing_extensions", None)
