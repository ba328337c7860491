"""EventBridge Scheduler with a fixed input: the same request at set times.

The schedule's input is `{"scheduled": "<aws.scheduler.scheduled-time>", "execution":
"<aws.scheduler.execution-id>", "request": {...}}`, whose two attributes Scheduler fills in
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, all_or_nothing

NAME = "schedule"
RETURNS = False


def claims_event(event: object) -> bool:
    return isinstance(event, dict) and event.keys() == {"scheduled", "execution", "request"}


def list_entries(event: object) -> Sequence[object]:
    return [event]


def identify_entry(event: Any) -> tuple[object, object]:
    return event["execution"], None


def read_entry(event: Any) -> list[Record]:
    return [Record(id=event["execution"], item=event["execution"], body=event["request"])]


def make_reply(_: object, outcomes: Sequence[Outcome]) -> None:
    all_or_nothing(outcomes)
