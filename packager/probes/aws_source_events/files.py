"""A file and where its answers go, as a state machine has them."""

from __future__ import annotations


def make_event(_: object) -> object:
    return {"input": "s3://data/in/request.json", "output": "s3://answers/request.jsonl"}
