"""A queue: ten messages a request; into a FIFO queue one by one, as a batch may lose its order.

Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.destinations import Message, chunks

_LOG = logging.getLogger(__name__)
_COUNT = 10
_REFUSED = (
    "SQS took no answer, and the records come again: %s. Check the queue and the role's permission "
    "to write to it."
)
_BYTES = 240 * 1024
"""Of bodies in one request, with room for attributes below the 256 KiB that every region takes."""


class Queue:
    def __init__(self, url: str) -> None:
        self._url = url
        self._fifo = url.endswith(".fifo")
        self._client = client("sqs")

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        return self._in_order(messages) if self._fifo else self._send_together(messages)

    def _send_together(self, messages: Sequence[Message]) -> frozenset[int]:
        failed: set[int] = set()
        for chunk in chunks(messages, count=_COUNT, size_bytes=_BYTES):
            entries = [{"Id": str(place), **_make_entry(messages[place])} for place in chunk]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except AWS_ERRORS as error:
                _LOG.error(_REFUSED, code(error))
                failed.update(chunk)
                continue
            failed.update(int(entry["Id"]) for entry in answer.get("Failed") or ())
        return frozenset(failed)

    def _in_order(self, messages: Sequence[Message]) -> frozenset[int]:
        failed: set[int] = set()
        stopped: set[str] = set()
        for place, message in enumerate(messages):
            group = message.group or message.id
            digest = hashlib.sha256(message.id.encode()).hexdigest()
            if group in stopped:
                failed.add(place)
                continue
            try:
                self._client.send_message(
                    QueueUrl=self._url,
                    MessageGroupId=group[:128],
                    MessageDeduplicationId=digest,
                    **_make_entry(message),
                )
            except AWS_ERRORS as error:
                _LOG.error(_REFUSED, code(error))
                failed.add(place)
                stopped.add(group)
        return frozenset(failed)


def _make_entry(message: Message) -> dict[str, object]:
    attributes = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in message.attributes.items()
    }
    return {"MessageBody": message.body.decode("utf-8", "replace"), "MessageAttributes": attributes}


def open_at(address: str) -> Queue:
    return Queue(address)
