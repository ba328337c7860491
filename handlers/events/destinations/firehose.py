"""A delivery stream: one line of JSON an answer.

Limits: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.destinations import Message, chunks
from handlers.values import zip_equal

_LOG = logging.getLogger(__name__)
_COUNT = 500
_BYTES = 3 * 1024 * 1024


class _Stream:
    def __init__(self, name: str) -> None:
        self._name = name
        self._put = client("firehose").put_record_batch

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        failed: set[int] = set()
        for chunk in chunks(messages, count=_COUNT, size_bytes=_BYTES):
            records = [{"Data": messages[place].body + b"\n"} for place in chunk]
            try:
                answer = self._put(DeliveryStreamName=self._name, Records=records)
            except AWS_ERRORS as error:
                _LOG.error(
                    "Firehose took no answer, and the records come again: %s. Check the stream "
                    "and the role's permission to write to it.",
                    code(error),
                )
                failed.update(chunk)
                continue
            found = zip_equal(chunk, answer["RequestResponses"])
            failed.update(place for place, entry in found if entry.get("ErrorCode"))
        return frozenset(failed)


def open_at(address: str) -> _Stream:
    return _Stream(address)
