"""A batch of a distributed map."""

from __future__ import annotations

from packager.types import Json


def make_event(request: Json) -> Json:
    return {"BatchInput": {}, "Items": [request]}
