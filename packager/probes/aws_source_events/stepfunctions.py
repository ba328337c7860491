"""A batch of a distributed map."""

from __future__ import annotations


def make_event(request: object) -> object:
    return {"BatchInput": {}, "Items": [request]}
