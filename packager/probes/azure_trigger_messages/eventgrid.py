"""An event of Event Grid."""

from __future__ import annotations

import json

from packager.probes.azure_trigger_messages._forms import TIME, Message


def make_message(body: bytes) -> Message:
    event = {
        "id": "00000000-0000-4000-8000-000000000001",
        "topic": "/subscriptions/0/resourceGroups/0/providers/Microsoft.EventGrid/topics/requests",
        "subject": "request",
        "eventType": "Request",
        "eventTime": TIME,
        "data": json.loads(body),
        "dataVersion": "1.0",
    }
    return {"event": {"json": event}}, {}
