"""A message of a storage account's queue."""

from __future__ import annotations

from packager.probes.azure_trigger_messages._forms import TIME, Message


def make_message(body: bytes) -> Message:
    metadata = {
        "Id": {"string": "00000000-0000-4000-8000-000000000001"},
        "DequeueCount": {"string": "1"},
        "InsertionTime": {"json": TIME},
        "ExpirationTime": {"json": TIME},
        "NextVisibleTime": {"json": TIME},
        "PopReceipt": {"string": "AgAAAAMAAAAAAAAA"},
    }
    return {"event": {"string": body.decode()}}, metadata
