"""A blob of a container."""

from __future__ import annotations

from packager.probes.azure_trigger_messages._forms import Message, encode_bytes


def make_message(body: bytes) -> Message:
    metadata = {
        "BlobTrigger": {"string": "requests/message.json"},
        "Uri": {"string": "https://account.blob.core.windows.net/requests/message.json"},
        "Properties": {"json": {"ContentLength": len(body)}},
        "Metadata": {"json": {}},
    }
    return {"event": encode_bytes(body)}, metadata
