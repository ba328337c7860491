"""SNS: one notification an invocation, retried whole by Lambda.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.records import Outcome, Record, all_or_nothing, tagged
from handlers.tracing import parent

NAME = "sns"
RETURNS = False


def claims(event: object) -> bool:
    return tagged(event, "EventSource", "aws:sns")


def records(event: Any) -> list[Record]:
    found = [record["Sns"] for record in event["Records"]]
    return [
        Record(
            id=sns["MessageId"],
            item=sns["MessageId"],
            body=sns["Message"],
            traceparent=parent(
                ((sns.get("MessageAttributes") or {}).get("traceparent") or {}).get("Value")
            ),
        )
        for sns in found
    ]


def reply(_: Any, outcomes: Sequence[Outcome]) -> None:
    all_or_nothing(outcomes)
