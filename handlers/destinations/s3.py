"""One object an answer, named after its record: an answer that comes twice is the same object."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from handlers.clients import AWS_ERRORS, client, code
from handlers.destinations import Message

_LOG = logging.getLogger(__name__)
_THREADS = 16


class _Bucket:
    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._put = client("s3").put_object
        # handlers.files passes over what came through its own function
        self._through = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        if len(messages) == 1:
            done = [self._written(messages[0])]
        else:
            with ThreadPoolExecutor(_THREADS) as pool:
                done = list(pool.map(self._written, messages))
        return frozenset(place for place, written in enumerate(done) if not written)

    def _written(self, message: Message) -> bool:
        try:
            self._put(
                Bucket=self._bucket,
                Key=f"{self._prefix}{quote(message.id)}.json",
                Body=message.body,
                ContentType="application/json",
                Metadata={"packager-through": self._through},
            )
        except AWS_ERRORS as error:
            _LOG.error("S3 took no answer: %s", code(error))
            return False
        return True


def open_at(address: str) -> _Bucket:
    """`//bucket/prefix`; the prefix is a folder, with a slash at its end or not."""
    bucket, _, prefix = address.removeprefix("//").partition("/")
    return _Bucket(bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")
