"""A timer, with the request that it always scores."""

from __future__ import annotations

from packager.probes.azure_trigger_messages._forms import TIME, Message, encode_bytes


def make_message(body: bytes) -> Message:
    status = {"Last": TIME, "LastUpdated": TIME, "Next": TIME}
    timer = {"IsPastDue": False, "ScheduleStatus": status, "Schedule": {"AdjustForDST": True}}
    return {"event": {"json": timer}, "request": encode_bytes(body)}, {}
