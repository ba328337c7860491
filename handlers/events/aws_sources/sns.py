"""SNS: one notification an invocation, retried whole by Lambda.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.events.records import Outcome, Record, all_or_nothing, dig, names_source, text_of
from handlers.observability.trace_context import parent

NAME = "sns"
RETURNS = False


def claims_event(event: object) -> bool:
    return names_source(event, "EventSource", "aws:sns")


def list_entries(event: Any) -> Sequence[object]:
    found: list[Any] = event["Records"]
    return found


def identify_entry(record: object) -> tuple[object, object]:
    return dig(record, "Sns", "MessageId"), None


def read_entry(record: Any) -> list[Record]:
    sns = record["Sns"]
    name, body = sns["MessageId"], text_of(sns["Message"])
    trace = dig(sns, "MessageAttributes", "traceparent", "Value")
    return [Record(id=name, item=name, body=body, traceparent=parent(trace))]


def make_reply(_: object, outcomes: Sequence[Outcome]) -> None:
    all_or_nothing(outcomes)
