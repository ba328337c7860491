"""Digest of the image that a Dockerfile builds on, as its registry answers.

Nobody's credentials are sent: bases are public, or are named by their digest.
"""

from __future__ import annotations

import logging
import re
import time
import urllib.error
from dataclasses import dataclass
from typing import Final

from packager.system.http_client import FAULTS, RequestLimits, is_late, word_fault
from packager.system.redaction import redact
from packager.targets.images.registry_client import (
    INDEXES,
    MANIFESTS,
    LoginNeededError,
    NoTokenError,
    RegistryClient,
    split_reference,
)

_LOG = logging.getLogger(__name__)
_SECONDS: Final = 8.0
"""For all of it: a build goes on without an answer."""
_ANSWER_SECONDS: Final = 4.0
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedImage:
    """The digest of an image, where one was found."""

    digest: str = ""
    why_not: str = ""
    """Why it has no digest, as a sentence; empty where it has one."""


class _NoDigestError(Exception):
    """The registry gave none; the message says why."""


def pin_image(reference: str) -> PinnedImage:
    """Return the digest of a reference, within seconds; nothing is raised.

    Where the reference has one, or there is none, nobody is asked.
    """
    if "@" in reference or not reference:
        return PinnedImage()
    try:
        digest = _ask_digest(reference)
    except _NoDigestError as error:
        return PinnedImage(
            why_not=f"{explain_unpinned(reference)}: {error}. Name it with "
            f"--base-image {_drop_tag(reference)}@sha256:..., so that each build is on the same.",
        )
    _LOG.info("The base image %s is %s", reference, digest)
    return PinnedImage(digest=digest)


def explain_unpinned(reference: str) -> str:
    """Return how the sentence begins that says why an image has no digest."""
    return f"The base image {reference} is not pinned to a digest"


def _ask_digest(reference: str) -> str:
    """Raises _NoDigestError."""
    host, repository, tag = split_reference(reference)
    limits = RequestLimits(seconds=_SECONDS, silence_seconds=_ANSWER_SECONDS, most_bytes=0)
    registry = RegistryClient(host, repository, limits, ends=time.monotonic() + _SECONDS)
    try:
        with registry.open(f"manifests/{tag}", ", ".join((*INDEXES, *MANIFESTS)), "HEAD") as answer:
            digest = str(answer.headers.get("Docker-Content-Digest", ""))
    except LoginNeededError as error:
        raise _NoDigestError(f"{host} lets nobody in without a password") from error
    except NoTokenError as error:
        raise _NoDigestError(f"{host} {error}") from error
    except urllib.error.HTTPError as error:
        error.close()
        raise _NoDigestError(f"{host} answered {error.code}") from error
    except FAULTS as error:
        if is_late(error):
            raise _NoDigestError(f"{host} did not answer within seconds") from error
        raise _NoDigestError(
            f"{host} could not be reached ({redact(word_fault(error))})"
        ) from error
    if not _DIGEST.fullmatch(digest):
        raise _NoDigestError(f"{host} answered without a sha256 digest")
    return digest


def _drop_tag(reference: str) -> str:
    name, colon, tag = reference.rpartition(":")
    return name if colon and "/" not in tag else reference
