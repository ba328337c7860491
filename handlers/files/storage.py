"""Objects of S3: read as a stream that goes on where it broke off, written whole or not at all.

Limits of multipart uploads:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.records import FileRef
from handlers.scoring.errors import InvalidInputError
from handlers.values import remove_prefix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_LOG = logging.getLogger(__name__)
_BLOCK_BYTES = 1024 * 1024
_PART_BYTES = 8 * 1024 * 1024
"""Of the first parts; a part may have 5 MiB at least, an upload 10,000 parts."""
_PARTS_BEFORE_GROWTH = 1000
_ATTEMPTS = 4
_MISSING = frozenset({"404", "NoSuchKey", "NotFound", "403", "AccessDenied", "Forbidden"})
"""Without the right to list a bucket, what is not there is forbidden."""
_INPUT, _MODEL = "packager-input", "packager-model"
_SEQUENCER, THROUGH = "packager-sequencer", "packager-through"


@dataclass(frozen=True)
class Address:
    bucket: str
    key: str

    @classmethod
    def read(cls, text: str) -> Address:
        """`s3://bucket/key`. Raises InvalidInputError."""
        bucket, _, key = remove_prefix(text, "s3://").partition("/")
        if not text.startswith("s3://") or not bucket or not key or key.endswith("/"):
            raise InvalidInputError("The address of a file must be s3://BUCKET/KEY.")
        return cls(bucket=bucket, key=key)

    @property
    def text(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Stamp:
    """Input that an output answers, kept as its metadata."""

    input: str
    """The version or ETag of what was read."""
    model: str
    """The model's digest."""
    sequencer: str | None = None
    """The order of events of one key, as hexadecimal digits."""
    through: tuple[str, ...] = ()
    """The functions that the data came through."""

    def metadata(self) -> dict[str, str]:
        made = {_INPUT: self.input, _MODEL: self.model, THROUGH: ",".join(self.through)}
        return {**made, _SEQUENCER: self.sequencer} if self.sequencer else made


class Source:
    """One version of an object, pinned at the first look at it."""

    def __init__(self, file: FileRef) -> None:
        """Raises what AWS does."""
        self.key = file.key
        self._where: dict[str, Any] = {"Bucket": file.bucket, "Key": file.key}
        if file.version:
            self._where["VersionId"] = file.version
        elif file.etag:
            self._where["IfMatch"] = f'"{file.etag}"'
        found = client("s3").head_object(**self._where)
        self._etag: str = found["ETag"]
        self.size_bytes: int = found["ContentLength"]
        self.version: str = file.version or found.get("VersionId") or self._etag.strip('"')
        named = found.get("Metadata", {}).get(THROUGH, "")
        self.through = tuple(name for name in named.split(",") if name)

    def blocks(self) -> Iterator[bytes]:
        """All of it in order; a connection that breaks is taken up again."""
        done, failures = 0, 0
        while done < self.size_bytes:
            try:
                body = self._open(done, self.size_bytes)
                while block := body.read(_BLOCK_BYTES):
                    done += len(block)
                    yield block
                if done < self.size_bytes:  # shorter than it said that it is
                    raise ConnectionError("the object's stream ended early")
            except (*AWS_ERRORS, OSError) as error:
                failures += 1
                if failures == _ATTEMPTS or getattr(error, "response", None):
                    raise
                _LOG.warning(
                    "S3 broke off while a file was read, and is asked again: %s", code(error)
                )

    def between(self, start: int, stop: int) -> bytes:
        """Bytes from `start` to before `stop`."""
        found: bytes = self._open(start, stop).read()
        return found

    def _open(self, start: int, stop: int) -> Any:
        span = f"bytes={start}-{stop - 1}"
        where = {**self._where, "IfMatch": self._etag, "Range": span}
        return client("s3").get_object(**where)["Body"]


def find_settled(target: Address, stamp: Stamp) -> str:
    """Tell why nothing is to be written: `known` or `superseded`; empty where there is."""
    try:
        held = client("s3").head_object(Bucket=target.bucket, Key=target.key).get("Metadata", {})
    except AWS_ERRORS as error:
        if code(error) in _MISSING:
            return ""
        raise
    if (held.get(_INPUT), held.get(_MODEL)) == (stamp.input, stamp.model):
        return "known"
    # longer is no later: the shorter one is filled up with zeros at its right
    there, ours = held.get(_SEQUENCER) or "", stamp.sequencer or ""
    width = max(len(there), len(ours))
    later = bool(there and ours) and there.ljust(width, "0") > ours.ljust(width, "0")
    return "superseded" if later else ""


class Sink:
    """A context manager: what is written inside is there when it ends well, and else nothing is."""

    def __init__(self, target: Address, stamp: Stamp, content_type: str) -> None:
        self._where = {"Bucket": target.bucket, "Key": target.key}
        self._told = {"ContentType": content_type, "Metadata": stamp.metadata()}
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def write(self, data: bytes) -> None:
        self._buffer += data
        growth = 1 + len(self._parts) // _PARTS_BEFORE_GROWTH
        while len(self._buffer) >= _PART_BYTES * growth:
            self._send(_PART_BYTES * growth)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abort()
            return
        try:
            self._finish_upload()
        except BaseException:
            self._abort()
            raise

    def _finish_upload(self) -> None:
        if self._upload is None:
            client("s3").put_object(**self._where, **self._told, Body=bytes(self._buffer))
            return
        if self._buffer:
            self._send(len(self._buffer))
        client("s3").complete_multipart_upload(
            **self._where, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
        )

    def _send(self, size_bytes: int) -> None:
        if self._upload is None:
            made = client("s3").create_multipart_upload(**self._where, **self._told)
            self._upload = made["UploadId"]
        number = len(self._parts) + 1
        part = bytes(self._buffer[:size_bytes])
        answer = client("s3").upload_part(
            **self._where, UploadId=self._upload, PartNumber=number, Body=part
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        del self._buffer[:size_bytes]

    def _abort(self) -> None:
        if self._upload is None:
            return
        try:
            client("s3").abort_multipart_upload(**self._where, UploadId=self._upload)
        except AWS_ERRORS as error:
            _LOG.error(
                "An upload was left unfinished, and its parts cost storage: %s. A lifecycle rule "
                "of the bucket removes such parts.",
                code(error),
            )
