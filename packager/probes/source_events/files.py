"""A file and where its answers go, as a state machine has them."""

from __future__ import annotations

from packager.types import Json


def make_event(_: Json) -> Json:
    return {"input": "s3://data/in/request.json", "output": "s3://answers/request.jsonl"}
