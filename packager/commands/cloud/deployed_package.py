"""Compare the package that an app of Azure runs with the zip of its artifact.

Azure states no digest. The package lies as released-package.zip in the app's deployment container:
https://learn.microsoft.com/azure/azure-functions/functions-deployment-technologies
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit, urlunsplit

from packager.commands.artifact.description import read_artifact
from packager.commands.artifact.zip_members import find_member
from packager.errors import CloudError, ConfigurationError
from packager.system.http_client import (
    FAULTS,
    RequestLimits,
    check_whole,
    open_answer,
    word_fault,
)
from packager.system.scratch import make_scratch
from packager.types import ArtifactCheck

CHECK: Final = "package"
TOKEN_VARIABLE: Final = "AZURE_STORAGE_SAS_TOKEN"  # noqa: S105 - a variable's name
"""As Azure's own command line reads it."""
_CHUNK_BYTES: Final = 1 << 20
_MOST_BYTES: Final = 4 << 30
_LIMITS: Final = RequestLimits(
    seconds=60,
    silence_seconds=60,
    most_bytes=_MOST_BYTES,
    least_bytes_per_second=64 << 10,
    redirects=5,
)
_LOCAL: Final = frozenset({"localhost", "127.0.0.1"})


def compare_package(folder: Path, source: str) -> ArtifactCheck:
    """Hold a deployed package, in a file or at an address, to the artifact's zip.

    Raises ConfigurationError for an artifact without a zip or what is neither file nor address,
    CloudError where the address does not answer.
    """
    artifact = read_artifact(folder.absolute())
    if artifact.archive is None:
        raise ConfigurationError(
            f"{artifact.home} is deployed as an image, and has no package: name the image with "
            "--image REGISTRY/NAME@sha256:DIGEST."
        )
    total = hashlib.sha256()
    problems = []
    with make_scratch("package") as scratch, _open_source(source) as package:
        copy = scratch / "released-package.zip"
        with copy.open("wb") as file:
            size = 0
            while chunk := _read_chunk(package, source):
                size += len(chunk)
                if size > _MOST_BYTES:
                    raise CloudError(f"{_name(source)} has more than {_MOST_BYTES:,} bytes.")
                total.update(chunk)
                file.write(chunk)
        try:
            check_whole(package, size)
        except HTTPException as error:
            raise _explain_break(source, error) from error
        if (found := total.hexdigest()) != artifact.sha256:
            problems.append(
                f"{_name(source)} has sha256 {found}, and {artifact.sha256} in the artifact: "
                f"{find_member(artifact.archive, copy, 'it is deployed')}"
            )
    return {"name": CHECK, "passed": not problems, "problems": problems}


def _read_chunk(package: IO[bytes], source: str) -> bytes:
    try:
        return package.read(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _explain_break(source, error) from error


def _explain_break(source: str, error: BaseException) -> CloudError:
    return CloudError(
        f"{_name(source)} could not be read to its end: {word_fault(error)}. Try again."
    )


@contextmanager
def _open_source(source: str) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        if "://" in source:
            yield _ask(source, stack)
            return
        try:
            package = stack.enter_context(Path(source).open("rb"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"--package {source[:200]!r} is no file that can be read ({error}). Give a file, "
                "or the address of released-package.zip."
            ) from error
        yield package


def _ask(source: str, stack: ExitStack) -> IO[bytes]:
    """Open what lies at an address, for as long as `stack` is."""
    try:
        parts = urlsplit(source)
        host = parts.hostname or ""
    except ValueError as error:
        raise ConfigurationError(f"--package cannot be read as an address: {error}.") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)):
        raise ConfigurationError(
            f"--package {_name(source)} is no https:// address. Give the one of "
            "released-package.zip in the app's deployment container."
        )
    token = os.environ.get(TOKEN_VARIABLE, "").strip().lstrip("?")
    url = urlunsplit(parts if parts.query or not token else parts._replace(query=token))
    try:
        request = urllib.request.Request(url)  # noqa: S310 - https, or this machine
        answer: IO[bytes] = stack.enter_context(open_answer(request, _LIMITS))
    except urllib.error.HTTPError as error:
        error.close()
        why = {
            401: f"it lets nobody in: set {TOKEN_VARIABLE} to a token that may read the blob",
            403: f"it may not be read: set {TOKEN_VARIABLE} to a token that may read the blob",
            404: "there is no such blob",
        }.get(error.code, f"it answers {error.code}")
        raise CloudError(f"{_name(source)} cannot be read: {why}.") from error
    except FAULTS as error:
        raise CloudError(
            f"{_name(source)} did not answer: {word_fault(error)}. Check the address and the "
            "network."
        ) from error
    return answer


def _name(source: str) -> str:
    """The address without its token."""
    return source.partition("?")[0][:300]
