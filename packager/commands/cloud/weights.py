"""Put an artifact's weights where its function fetches them: once each, in parts, resumable."""

from __future__ import annotations

import hashlib
import logging
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager import targets
from packager.commands import artifact
from packager.commands.artifact.description import MANIFEST, WEIGHTS, find_inside
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.cloud.stacks import (
    Client,
    MakeClient,
    explain_sdk_errors,
    make_client,
    read_code,
)
from packager.commands.console.interruption import send_parts
from packager.errors import (
    ConfigurationError,
    IntegrityError,
    ModelFormatError,
    PackagerError,
    StorageError,
)
from packager.system.file_tree import sha256
from packager.types import PushedFile, PushedWeights

_LOG = logging.getLogger(__name__)
_PART_BYTES: Final = 64 << 20
"""Of a multipart upload; S3 takes 10,000 parts, so up to 640 GB."""
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.()-]+(/[A-Za-z0-9!_.()-]+)*")
_PREFIX_LENGTH: Final = 63
"""As the template's parameter takes it."""
_DIGEST: Final = "sha256"
"""Name of the object's metadata that says of what it was made."""
_MOUNTED: Final = "mount"
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    of: str
    """Its path in the model's folder."""
    sha256: str
    size_bytes: int


def push_weights(
    folder: Path, destination: str, *, clients: MakeClient | None = None
) -> PushedWeights:
    """Upload what lies in the artifact's weights/ and is not at `destination`, s3://BUCKET/PREFIX.

    A file is read and held to its sha256 before any of it is sent. An upload that was interrupted
    goes on with the parts that are missing; whatever ends one names the command that removes what
    was sent. Raises ConfigurationError for an address that is none or an artifact without weights
    outside, IntegrityError for a file that was changed, StorageError for one that cannot be read,
    CloudError where AWS refuses.
    """
    bucket, prefix = read_destination(destination)
    files = list(_list_files(folder.absolute()))
    warn_of_changes(folder)
    with explain_sdk_errors():
        store = (clients or make_client)("s3")
        pushed = [_push_file(file, store, bucket, f"{prefix}/{file.sha256}") for file in files]
    return {
        "destination": f"s3://{bucket}/{prefix}",
        "files": pushed,
        "parameters": {"WeightsBucket": bucket, "WeightsPrefix": prefix},
    }


def describe_begun(destination: str) -> str:
    """Say what an interrupted push leaves, and how to remove it. Raises ConfigurationError."""
    bucket, prefix = read_destination(destination)
    return (
        f"Interrupted: parts that were sent stay in s3://{bucket}, and are billed for. Run it "
        "again to go on with them. To remove them, list what was begun with `aws s3api "
        f"list-multipart-uploads --bucket {bucket} --prefix {shlex.quote(f'{prefix}/')}`, and end "
        "each with `aws "
        f"s3api abort-multipart-upload --bucket {bucket} --key KEY --upload-id UPLOAD_ID`."
    )


def read_destination(address: str) -> tuple[str, str]:
    """Bucket and prefix of s3://BUCKET/PREFIX. Raises ConfigurationError."""
    scheme, slashes, rest = address.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme != "s3" or not slashes or not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            f"{address!r} names no bucket of S3. Write it as s3://BUCKET/PREFIX."
        )
    plain = _PREFIX.fullmatch(prefix) and not {".", ".."} & {*prefix.split("/")}
    if not plain or len(prefix) > _PREFIX_LENGTH:
        raise ConfigurationError(
            f"{address!r} has no prefix that the template's WeightsPrefix takes: letters, digits "
            f"and !_.()- with slashes between, {_PREFIX_LENGTH} characters at most. Write "
            "it as s3://BUCKET/weights/churn."
        )
    return bucket, prefix


def _list_files(home: Path) -> Iterator[_File]:
    """Raises ConfigurationError where there are none, IntegrityError for one that was changed."""
    built = artifact.read(home)
    tree = built.folder / targets.load(built.target).tree.home
    manifest = artifact.read_manifest(tree)
    listed = manifest.weights
    if listed and manifest.weights_from == _MOUNTED:
        raise ConfigurationError(
            f"{home} was built with --weights mount, so its function fetches nothing. Copy the "
            f"files of its {WEIGHTS}/, under their names, to the root of the file system that it "
            "mounts; README.md there says how. Or build it for aws-lambda with --weights fetch."
        )
    if not listed:
        raise ConfigurationError(
            f"{home} has no weights outside of its function, so there is nothing to push. Build it "
            "with --weights fetch to have them outside."
        )
    seen: set[str] = set()
    for each in listed:
        digest, of = str(each["sha256"]), str(each["path"])
        if digest in seen:
            continue
        seen.add(digest)
        path = find_inside(home, f"{WEIGHTS}/{digest}")
        if path is None:
            raise ModelFormatError(
                f"{WEIGHTS}/{digest} ({of}) is missing. Copy the whole folder of the artifact, or "
                "build it again."
            )
        if (found := sha256(path)) != digest:
            raise IntegrityError(
                f"{WEIGHTS}/{digest} ({of}) was changed since it was built: it has sha256 {found}, "
                f"and {MANIFEST} lists another. It was not sent. Build the artifact again."
            )
        yield _File(path=path, of=of, sha256=digest, size_bytes=path.stat().st_size)


def _push_file(file: _File, store: Client, bucket: str, key: str) -> PushedFile:
    sent = 0
    if not _is_there(file, store, bucket, key):
        _LOG.info("Sending %s, %.1f MB", file.of, file.size_bytes / 1e6)
        sent = _upload(file, store, bucket, key)
    return {
        "path": file.of,
        "key": key,
        "size_bytes": file.size_bytes,
        "sent_bytes": sent,
    }


def _is_there(file: _File, store: Client, bucket: str, key: str) -> bool:
    """Tell whether the object is whole and of this file: it was made by this program, and of it."""
    try:
        found = store.head_object(Bucket=bucket, Key=key)
    except Exception as error:
        if read_code(error) not in _ABSENT:
            raise
        return False
    told = (found.get("Metadata") or {}).get(_DIGEST)
    return found["ContentLength"] == file.size_bytes and told == file.sha256


def _upload(file: _File, store: Client, bucket: str, key: str) -> int:
    """Send the parts that are missing of it; the number of bytes sent."""
    where = {"Bucket": bucket, "Key": key}
    upload, there = _find_begun(file, store, where)
    left = (
        f"The parts of {file.of} that were sent stay in s3://{bucket}, and are billed for. Run it "
        "again to go on with them, or remove them with `aws s3api abort-multipart-upload "
        f"--bucket {bucket} --key {shlex.quote(key)} --upload-id {shlex.quote(upload)}`."
    )
    try:
        with send_parts(f"Interrupted. {left}"), explain_sdk_errors():
            return _send_parts(file, store, where, upload, there)
    except PackagerError as error:
        raise type(error)(f"{error}\n{left}") from error
    except OSError as error:
        raise StorageError(
            f"{file.path} cannot be read and sent: {error.strerror or error}.\n{left}"
        ) from error
    except Exception as error:
        error.add_note(left)  # a bug's own words say nothing of what is billed for
        raise


def _send_parts(
    file: _File,
    store: Client,
    where: Mapping[str, str],
    upload: str,
    there: Mapping[tuple[int, int], str],
) -> int:
    sent, parts = 0, []
    with file.path.open("rb") as opened:
        for number, first in enumerate(range(0, file.size_bytes, _PART_BYTES), 1):
            size = min(_PART_BYTES, file.size_bytes - first)
            digest = there.get((number, size))
            opened.seek(first)
            body = opened.read(size)
            if len(body) < size:
                raise IntegrityError(
                    f"{file.path} became shorter while it was sent. It is not what was built: "
                    "copy the artifact again, or build it again."
                )
            # a part of somebody else's, or of a key of KMS, whose ETag is no MD5, is sent again
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            if digest is None or digest.strip('"') != md5:
                # a checksum of the SDK's own goes with it, which S3 holds the part to
                digest = store.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)[
                    "ETag"
                ]
                sent += size
            parts.append({"PartNumber": number, "ETag": digest})
    store.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    return sent


def _find_begun(
    file: _File, store: Client, where: Mapping[str, str]
) -> tuple[str, dict[tuple[int, int], str]]:
    """The latest upload of this object that was begun and not ended, and its parts; else a new one.

    Anybody who may write there can have begun it: a part is taken only by its content.
    """
    found = store.list_multipart_uploads(Bucket=where["Bucket"], Prefix=where["Key"])
    begun = [each for each in found.get("Uploads", ()) if each["Key"] == where["Key"]]
    if not begun:
        made = store.create_multipart_upload(**where, Metadata={_DIGEST: file.sha256})
        return str(made["UploadId"]), {}
    upload = str(max(begun, key=lambda each: each["Initiated"])["UploadId"])
    there: dict[tuple[int, int], str] = {}
    for page in store.get_paginator("list_parts").paginate(**where, UploadId=upload):
        for part in page.get("Parts", ()):
            there[int(part["PartNumber"]), int(part["Size"])] = str(part["ETag"])
    _LOG.info("Going on with an upload that was begun: %d parts are there", len(there))
    return upload, there
