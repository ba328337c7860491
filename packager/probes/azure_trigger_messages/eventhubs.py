"""Two events of one partition of Event Hubs."""

from __future__ import annotations

from packager.probes.azure_trigger_messages._forms import TIME, Message


def make_message(body: bytes) -> Message:
    system = [
        {"SequenceNumber": number, "Offset": number, "PartitionKey": None, "EnqueuedTimeUtc": TIME}
        for number in range(2)
    ]
    metadata = {
        "SystemPropertiesArray": {"json": system},
        "PartitionContext": {"json": {"PartitionId": "0"}},
    }
    return {"event": {"collection_string": [body.decode()] * 2}}, metadata
