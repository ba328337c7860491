"""A notification of a topic."""

from __future__ import annotations

import json

from packager.probes.aws_source_events._forms import ID, make_arn
from packager.types import Json


def make_event(request: object) -> object:
    topic = make_arn("sns", "requests")
    sent: dict[str, Json] = {
        "Type": "Notification",
        "MessageId": ID,
        "TopicArn": topic,
        "Subject": None,
        "Message": json.dumps(request),
        "MessageAttributes": {},
        "Timestamp": "2000-01-01T00:00:00.000Z",
    }
    record = {
        "EventVersion": "1.0",
        "EventSource": "aws:sns",
        "EventSubscriptionArn": f"{topic}:{ID}",
        "Sns": sent,
    }
    return {"Records": [record]}
