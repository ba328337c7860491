"""An event bus: source `packager`, detail type `Prediction`, the answer as the detail.

Limits: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.destinations import Message, chunks
from handlers.values import zip_equal

_LOG = logging.getLogger(__name__)
_COUNT = 10
_BYTES = 240 * 1024


class _Bus:
    def __init__(self, name: str) -> None:
        self._name = name
        self._put = client("events").put_events

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        failed: set[int] = set()
        for chunk in chunks(messages, count=_COUNT, size_bytes=_BYTES):
            entries = [
                {
                    "EventBusName": self._name,
                    "Source": "packager",
                    "DetailType": "Prediction",
                    "Detail": messages[place].body.decode(),
                }
                for place in chunk
            ]
            try:
                answer = self._put(Entries=entries)
            except AWS_ERRORS as error:
                _LOG.error(
                    "EventBridge took no answer, and the records come again: %s. Check the bus "
                    "and the role's permission to write to it.",
                    code(error),
                )
                failed.update(chunk)
                continue
            found = zip_equal(chunk, answer["Entries"])
            failed.update(place for place, entry in found if entry.get("ErrorCode"))
        return frozenset(failed)


def open_at(address: str) -> _Bus:
    return _Bus(address)
