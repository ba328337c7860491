"""A table whose partition key is `id`, a string: one item an answer, put again when it comes again.

Limits: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.destinations import Message, chunks

_LOG = logging.getLogger(__name__)
_COUNT = 25
_BYTES = 8 * 1024 * 1024
_ROUNDS = 5


class _Table:
    def __init__(self, name: str) -> None:
        self._name = name
        self._write = client("dynamodb").batch_write_item

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        failed: set[int] = set()
        for chunk in chunks(messages, count=_COUNT, size_bytes=_BYTES):
            left = self._write_batch({messages[place].id: messages[place] for place in chunk})
            failed.update(place for place in chunk if messages[place].id in left)
        return frozenset(failed)

    def _write_batch(self, messages: dict[str, Message]) -> set[str]:
        """The ids that the table did not take, asked a few times."""
        puts: list[dict[str, Any]] = [
            {"PutRequest": {"Item": {"id": {"S": key}, "answer": {"S": message.body.decode()}}}}
            for key, message in messages.items()
        ]
        for round_ in range(_ROUNDS):
            try:
                answer = self._write(RequestItems={self._name: puts})
            except AWS_ERRORS as error:
                _LOG.error(
                    "DynamoDB took no answer, and the records come again: %s. Check the table and "
                    "the role's permission to write to it.",
                    code(error),
                )
                break
            puts = (answer.get("UnprocessedItems") or {}).get(self._name) or []
            if not puts:
                break
            time.sleep(0.05 * 2**round_)
        return {put["PutRequest"]["Item"]["id"]["S"] for put in puts}


def open_at(address: str) -> _Table:
    return _Table(address)
