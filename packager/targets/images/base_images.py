"""Digest of the image that a Dockerfile builds on, as its registry answers.

The registry is asked by its HTTP API, https://distribution.github.io/distribution/spec/api/, with a
token where it wants one, https://distribution.github.io/distribution/spec/auth/token/. Nobody's
credentials are sent: bases are public, or are named by their digest.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from packager.system.redaction import redact

if TYPE_CHECKING:
    import requests

_LOG = logging.getLogger(__name__)
_SECONDS: Final = 8.0
"""For all of it: a build goes on without an answer."""
_ANSWER_SECONDS: Final = 4.0
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
HUB: Final = "docker.io"
HUB_HOST: Final = "registry-1.docker.io"
_LOCAL: Final = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::\d+)?")
"""Asked without TLS, as Docker does."""
_ACCEPT: Final = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_MOST_TOKEN: Final = 1 << 16


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
    import requests  # noqa: PLC0415 - a quarter of a second, for images alone

    host, repository, tag = split_reference(reference)
    scheme = "http" if _LOCAL.fullmatch(host) else "https"
    address = f"{scheme}://{HUB_HOST if host == HUB else host}/v2/{repository}/manifests/{tag}"
    ends = time.monotonic() + _SECONDS
    try:
        with requests.Session() as session:
            session.trust_env = True
            session.auth = _send_nothing
            answer = _send(session, "HEAD", address, ends, {})
            if answer.status_code == requests.codes.unauthorized:
                token = _ask_token(session, answer, host, ends)
                answer = _send(session, "HEAD", address, ends, {"Authorization": f"Bearer {token}"})
            if answer.status_code != requests.codes.ok:
                raise _NoDigestError(f"{host} answered {answer.status_code}")
            digest = answer.headers.get("Docker-Content-Digest", "")
    except requests.Timeout as error:
        raise _NoDigestError(f"{host} did not answer within seconds") from error
    except (requests.RequestException, ValueError) as error:
        raise _NoDigestError(f"{host} could not be reached ({_word(error)})") from error
    if not _DIGEST.fullmatch(digest):
        raise _NoDigestError(f"{host} answered without a sha256 digest")
    return digest


def _send_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep .netrc's passwords out of a request."""
    return request


def _send(
    session: requests.Session, method: str, address: str, ends: float, headers: dict[str, str]
) -> requests.Response:
    left = ends - time.monotonic()
    if left <= 0:
        raise _NoDigestError("it did not answer within seconds")
    return session.request(
        method,
        address,
        headers={"Accept": _ACCEPT, **headers},
        timeout=min(left, _ANSWER_SECONDS),
        allow_redirects=False,
    )


def _ask_token(
    session: requests.Session, refused: requests.Response, host: str, ends: float
) -> str:
    """Ask for the token that a registry wants from everybody. Raises _NoDigestError."""
    challenge = refused.headers.get("WWW-Authenticate", "")
    kind, _, rest = challenge.partition(" ")
    told = dict(_CHALLENGE.findall(rest))
    realm = urlsplit(told.get("realm", ""))
    if kind.lower() != "bearer" or realm.scheme not in {"http", "https"} or not realm.hostname:
        raise _NoDigestError(f"{host} lets nobody in without a password")
    query = {name: told[name] for name in ("service", "scope") if name in told}
    answer = session.get(
        told["realm"],
        params=query,
        timeout=max(0.1, min(ends - time.monotonic(), _ANSWER_SECONDS)),
        allow_redirects=False,
    )
    if not answer.ok or len(answer.content) > _MOST_TOKEN:
        raise _NoDigestError(f"{host} gives no token ({answer.status_code})")
    body = answer.json()
    token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise _NoDigestError(f"{host} gives no token that can be sent")
    return token


def split_reference(reference: str) -> tuple[str, str, str]:
    """Return host, repository and tag, as Docker reads a name.

    https://pkg.go.dev/github.com/distribution/reference
    """
    first, slash, rest = reference.partition("/")
    has_host = slash and (first == "localhost" or "." in first or ":" in first)
    host, path = (first, rest) if has_host else (HUB, reference)
    name, colon, tag = path.rpartition(":")
    repository, tag = (name, tag) if colon and "/" not in tag else (path, "latest")
    if host in {HUB, f"index.{HUB}"}:
        host = HUB
        repository = repository if "/" in repository else f"library/{repository}"
    return host, repository, tag


def _drop_tag(reference: str) -> str:
    name, colon, tag = reference.rpartition(":")
    return name if colon and "/" not in tag else reference


def _word(error: BaseException) -> str:
    return redact(" ".join(str(error).split()))[:200] or type(error).__name__
