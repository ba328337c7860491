"""One object an answer, named after its record: an answer that comes twice is the same object.

Where it is to be written once, the object is made only where there is none
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html), and replaced only
where it is another model's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.destinations import Message
from handlers.values import remove_prefix

_LOG = logging.getLogger(__name__)
_THREADS = 16
_MODEL = "packager-model"


class _Bucket:
    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._s3 = client("s3")
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
        wanted: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": f"{self._prefix}{quote(message.id)}.json",
            "Body": message.body,
            "ContentType": "application/json",
            "Metadata": {"packager-through": self._through},
        }
        try:
            if not message.once:
                self._s3.put_object(**wanted)
            else:
                wanted["Metadata"][_MODEL] = message.once
                self._write_once(wanted)
        except AWS_ERRORS as error:
            _LOG.error(
                "S3 took no answer, and the record comes again: %s. Check the bucket and the "
                "role's permission to write to it.",
                code(error),
            )
            return False
        return True

    def _write_once(self, wanted: dict[str, Any]) -> None:
        """Leaves what a process wrote that died before it could say so."""
        try:
            self._s3.put_object(**wanted, IfNoneMatch="*")
        except AWS_ERRORS as error:
            if code(error) != "PreconditionFailed":
                raise
            held = self._s3.head_object(Bucket=wanted["Bucket"], Key=wanted["Key"])
            if held.get("Metadata", {}).get(_MODEL) != wanted["Metadata"][_MODEL]:
                self._s3.put_object(**wanted)


def open_at(address: str) -> _Bucket:
    """`//bucket/prefix`; the prefix is a folder, with a slash at its end or not."""
    bucket, _, prefix = remove_prefix(address, "//").partition("/")
    return _Bucket(bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")
