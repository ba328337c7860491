"""A direct invoke that names files: `{"input": "s3://...", "output": "s3://..."}`.

The answer says what was done: `{"input", "output", "rows", "refused", "version"}`, or `skipped`
with `known` where the output is the answer to this version and model already. `input_version` may
name a version of the object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from handlers.events.records import FileRef, Outcome, Record, RecordsFailedError, text_of
from handlers.scoring.errors import InvalidInputError
from handlers.values import remove_prefix

NAME = "files"
RETURNS = True


def claims_event(event: object) -> bool:
    if not isinstance(event, dict) or event.keys() - {"input", "output", "input_version"}:
        return False
    return all(
        isinstance(value, str) and value.startswith("s3://")
        for value in (event.get("input"), event.get("output"))
    )


def list_entries(event: object) -> Sequence[object]:
    return [event]


def identify_entry(event: Any) -> tuple[object, object]:
    return event["input"], None


def read_entry(event: Any) -> list[Record]:
    """Raises InvalidInputError for an address without a key."""
    bucket, _, key = remove_prefix(event["input"], "s3://").partition("/")
    if not bucket or not key or event["input"] == event["output"]:
        raise InvalidInputError(
            "The event must name two files, `input` and `output`, each as s3://BUCKET/KEY."
        )
    version = event.get("input_version")
    if version is not None:
        text_of(version)
    file = FileRef(bucket=bucket, key=key, version=version, output=event["output"])
    return [Record(id=event["input"], item=event["input"], body=event, file=file)]


def make_reply(_: object, outcomes: Sequence[Outcome]) -> object:
    (outcome,) = outcomes
    if outcome.retry:
        why = outcome.error.message if outcome.error else ""
        raise RecordsFailedError(f"The file was not scored this time. Try it again. {why}".rstrip())
    if outcome.error is not None:
        raise outcome.error
    return json.loads(outcome.answer or b"{}")
