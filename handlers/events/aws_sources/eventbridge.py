"""EventBridge: the detail of an event, or what the payload path names in it.

Shape: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, all_or_nothing

NAME = "eventbridge"
RETURNS = False


def claims_event(event: object) -> bool:
    return isinstance(event, dict) and {"detail-type", "source", "detail", "id"} <= event.keys()


def list_entries(event: object) -> Sequence[object]:
    return [event]


def identify_entry(event: Any) -> tuple[object, object]:
    return event["id"], None


def read_entry(event: Any) -> list[Record]:
    return [Record(id=event["id"], item=event["id"], body=event["detail"])]


def make_reply(_: object, outcomes: Sequence[Outcome]) -> None:
    all_or_nothing(outcomes)
