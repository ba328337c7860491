"""Requests to a registry of images: its address, its logins, its tokens.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md; registries' tokens:
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPResponse
from typing import Final
from urllib.parse import urlencode, urlsplit

from packager.system.http_client import RequestLimits, open_answer, read_answer

HUB: Final = "docker.io"
HUB_HOST: Final = "registry-1.docker.io"
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_LOCAL: Final = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::\d+)?")
"""Asked without TLS, as Docker does."""
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_MOST_TOKEN: Final = 1 << 16


class LoginNeededError(Exception):
    """The registry lets nobody in without a login, and there is none."""


class NoTokenError(Exception):
    """The registry gives no token; the message says how, and begins after the registry's name."""


@dataclass(slots=True)
class RegistryClient:
    """A repository of images in a registry, which is only read."""

    host: str
    repository: str
    limits: RequestLimits
    """Of each request."""
    login: tuple[str, str] | None = None
    """User and password."""
    ends: float | None = None
    """On the monotonic clock, for all requests together."""
    _header: str = field(default="", init=False)

    @property
    def address(self) -> str:
        scheme = "http" if _LOCAL.fullmatch(self.host) else "https"
        return f"{scheme}://{HUB_HOST if self.host == HUB else self.host}/v2/{self.repository}"

    @contextmanager
    def open(
        self, path: str, accept: str, method: str = "GET", limits: RequestLimits | None = None
    ) -> Iterator[HTTPResponse]:
        """Yield the answer; where the registry asks for a login or a token, it is asked again.

        Raises LoginNeededError, NoTokenError, and what `http_client.open_answer` raises.
        """
        url, bounds = f"{self.address}/{path}", limits or self.limits
        if not self._header:
            try:
                with open_answer(
                    self._make_request(url, accept, method), self._bound(bounds)
                ) as answer:
                    yield answer
                    return
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 401:
                    raise
                self._header = self._authenticate(error.headers.get("WWW-Authenticate", ""))
        with open_answer(self._make_request(url, accept, method), self._bound(bounds)) as answer:
            yield answer

    def _make_request(
        self, url: str, accept: str, method: str, header: str = ""
    ) -> urllib.request.Request:
        headers = {"Accept": accept}
        if header or self._header:
            headers["Authorization"] = header or self._header
        return urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - http or https, see address

    def _bound(self, limits: RequestLimits) -> RequestLimits:
        if self.ends is None:
            return limits
        return replace(limits, seconds=min(limits.seconds, self.ends - time.monotonic()))

    def _authenticate(self, challenge: str) -> str:
        """Return the header that a registry asks for: the login itself, or a token for it."""
        kind, _, rest = challenge.partition(" ")
        basic = ""
        if self.login is not None:
            basic = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        if kind.lower() != "bearer":
            if not basic:
                raise LoginNeededError
            return basic
        asked = dict(_CHALLENGE.findall(rest))
        realm = urlsplit(asked.get("realm", ""))
        if realm.scheme not in {"http", "https"} or not realm.hostname:
            raise LoginNeededError
        if realm.scheme == "http" and not _LOCAL.fullmatch(realm.netloc):
            raise NoTokenError(f"asks for a token of {realm.netloc!r} without TLS")
        query = urlencode({name: asked[name] for name in ("service", "scope") if name in asked})
        request = self._make_request(f"{realm.geturl()}?{query}", "application/json", "GET", basic)
        _, body = read_answer(request, self._bound(replace(self.limits, most_bytes=_MOST_TOKEN)))
        return f"Bearer {_read_token(body)}"


def _read_token(body: bytes) -> str:
    """Raises NoTokenError."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise NoTokenError("gives no token that can be sent")
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
