"""Distributed Map of Step Functions: an item by itself, or a batch of items, answered in order.

`{"Items": [...], "BatchInput": ...}` is what an ItemBatcher sends
(https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html);
`{"Item": {...}}` is one item, by an ItemSelector of `{"Item.$": "$$.Map.Item.Value"}`. A task whose
payload is MLflow's JSON is a direct invoke. Items of a CSV file, whose cells are all text, are
marked by the batch input `{"format": "csv"}`, and read as such a file is.

A batch is answered by a list of the same length: `{"predictions": [...]}`, or for an item that
cannot be scored `{"error_code": ..., "message": ...}`. Such an item by itself fails the task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, RecordsFailedError, dig

NAME = "stepfunctions"
RETURNS = True


def claims_event(event: object) -> bool:
    if not isinstance(event, dict):
        return False
    batch = isinstance(event.get("Items"), list) and not event.keys() - {"Items", "BatchInput"}
    return batch or (event.keys() == {"Item"} and isinstance(event["Item"], dict))


def list_entries(event: Any) -> Sequence[object]:
    """Triples of an item's place, the item, and whether it is of a CSV file."""
    items = event["Items"] if "Items" in event else [event["Item"]]
    text = dig(event, "BatchInput", "format") == "csv"
    return [(str(place), item, text) for place, item in enumerate(items)]


def identify_entry(entry: Any) -> tuple[object, object]:
    return entry[0], None


def read_entry(entry: Any) -> list[Record]:
    place, item, text = entry
    return [Record(id=place, item=place, body=item, text=text)]


def make_reply(event: Any, outcomes: Sequence[Outcome]) -> object:
    if "Item" in event:
        (outcome,) = outcomes
        if outcome.error is not None:
            raise outcome.error
    if any(outcome.retry for outcome in outcomes):
        raise RecordsFailedError("The model could not be asked this time. Try the task again.")
    answers = [_read_answer(outcome) for outcome in outcomes]
    return answers if "Items" in event else answers[0]


def _read_answer(outcome: Outcome) -> object:
    if outcome.error is not None:
        return {"error_code": outcome.error.error_code, "message": outcome.error.message}
    return json.loads(outcome.answer or b"null")
