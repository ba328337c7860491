"""Requests over HTTP that end: each is bound in time, in bytes, and in whom it is led to.

A socket's own timeout is one of each read, so that whoever sends a byte now and then is never late
for it. Here the connection's reads share one clock and one count of bytes, redirects included.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit, urlunsplit

FAULTS: Final = (OSError, http.client.HTTPException, ValueError)
"""Raised where a request fails: `urllib.error.HTTPError` is among them, and a wrong address."""
_SPARE_BYTES: Final = 1 << 20
"""Of the answer's headers, and of how its body is cut into chunks."""
_OWN_AUTHORITIES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Files of certificates that companies set beside SSL_CERT_FILE."""
_OPENSSL_AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_SAFE_HEADERS: Final = frozenset({"accept", "user-agent"})
"""All that goes along to another host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Bounds of one request, the redirects that it follows among it."""

    seconds: float
    """In all."""
    silence_seconds: float
    """Until the next bytes come."""
    most_bytes: int
    """Of the answer's body."""
    least_bytes_per_second: float = 0.0
    """Bytes that give a second more, where the time of a large answer hangs on its size; else 0."""
    redirects: int = 0


class TooLargeError(OSError):
    """The answer has more bytes than were to be taken."""


class _Budget:
    """Time and bytes that are left to one request."""

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._begun = time.monotonic()
        self._bytes = 0
        self.answers: list[http.client.HTTPResponse] = []
        """Those of redirects among them."""

    def measure_wait(self) -> float:
        """Return the longest time for the next step. Raises TimeoutError where none is left."""
        limits = self._limits
        earned = self._bytes / limits.least_bytes_per_second if limits.least_bytes_per_second else 0
        left = self._begun + limits.seconds + earned - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {limits.seconds + earned:.3g} s")
        return min(left, limits.silence_seconds)

    def spend(self, size: int) -> None:
        """Count bytes that came. Raises TooLargeError where they are too many."""
        self._bytes += size
        if self._bytes > self._limits.most_bytes + _SPARE_BYTES:
            raise TooLargeError(f"the answer has more than {self._limits.most_bytes:,} bytes")


class _BoundReader(io.RawIOBase):
    """Bytes that a connection sends, as long as the budget lasts."""

    def __init__(self, connection: socket.socket, budget: _Budget) -> None:
        self._connection, self._budget = connection, budget
        # keeps the connection open until this is closed
        self._source = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, there
        self._connection.settimeout(self._budget.measure_wait())
        size = self._source.readinto(buffer) or 0
        self._budget.spend(size)
        return size

    def close(self) -> None:
        self._source.close()
        super().close()


class _BoundAnswer(http.client.HTTPResponse):
    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        budget: _Budget,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp.close()
        budget.answers.append(self)
        self.fp = io.BufferedReader(_BoundReader(sock, budget))


def limit_connection(connection: http.client.HTTPConnection, limits: RequestLimits) -> None:
    """Bind what a connection of its caller's answers, from now on."""
    _bind(connection, _Budget(limits))


def _bind(connection: http.client.HTTPConnection, budget: _Budget) -> None:
    connection.response_class = partial(_BoundAnswer, budget=budget)  # type: ignore[assignment]  # it is called as a class is
    connection.timeout = budget.measure_wait()


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, budget: _Budget) -> None:
        super().__init__()
        self._budget = budget

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)  # type: ignore[arg-type]  # with a host and a time

    def _connect(self, host: str, timeout: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host, timeout=timeout)
        _bind(connection, self._budget)
        return connection


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, budget: _Budget) -> None:
        self._trust = _make_context(_describe_authorities())
        super().__init__(context=self._trust)
        self._budget = budget

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)  # type: ignore[arg-type]  # with a host and a time

    def _connect(self, host: str, timeout: float) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(host, context=self._trust, timeout=timeout)
        _bind(connection, self._budget)
        return connection


def _describe_authorities() -> tuple[tuple[str, str, int, int], ...]:
    """Name the certificates that are trusted, so that others or changed ones are another value."""
    found = []
    for name in (*_OWN_AUTHORITIES, *_OPENSSL_AUTHORITIES):
        value = os.environ.get(name) or os.devnull
        try:
            told = Path(value).stat()
        except (OSError, ValueError):
            found.append((name, value, 0, 0))
        else:
            found.append((name, value, told.st_mtime_ns, told.st_size))
    return tuple(found)


@lru_cache(maxsize=1)
def _make_context(authorities: tuple[tuple[str, str, int, int], ...]) -> ssl.SSLContext:
    """Make what connections are trusted by, once: to read all certificates takes 0.1 s."""
    context = ssl.create_default_context()
    for name, value, *_ in authorities:
        path = Path(value)
        if name in _OWN_AUTHORITIES and path.is_file():
            context.load_verify_locations(path)
    return context


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows so many, never from https to http, and to another host without credentials."""

    def __init__(self, most: int) -> None:
        self._left = most

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if not self._left or (before.scheme, after.scheme) not in _LEADS:
            return None
        self._left -= 1
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and before[:2] != after[:2]:
            found.headers = {
                name: value
                for name, value in found.headers.items()
                if name.lower() in _SAFE_HEADERS
            }
        return found


_LEADS: Final = frozenset({("http", "http"), ("http", "https"), ("https", "https")})


def make_request(
    url: str, headers: Mapping[str, str], body: bytes | None = None
) -> urllib.request.Request:
    """Make one whose address may have a user and a password, which go into a header.

    Raises ValueError for what is no address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it begins with neither https:// nor http://")
    login, at, host = parts.netloc.rpartition("@")
    bare = urlunsplit(parts._replace(netloc=host))
    made = urllib.request.Request(bare, body, dict(headers))  # noqa: S310 - http or https above
    if at:
        made.add_header("Authorization", f"Basic {b64encode(unquote(login).encode()).decode()}")
    return made


@contextmanager
def open_answer(
    request: urllib.request.Request, limits: RequestLimits
) -> Iterator[http.client.HTTPResponse]:
    """Send it, and yield the answer, whose body is read in the block.

    Raises one of FAULTS, in the block too: TimeoutError or `urllib.error.URLError` with one where
    time is over, TooLargeError, `urllib.error.HTTPError` for a status that is none of success, a
    redirect that is not followed among them.
    """
    if urlsplit(request.full_url).scheme not in {"http", "https"}:
        raise ValueError("the address begins with neither https:// nor http://")
    budget = _Budget(limits)
    opener = urllib.request.build_opener(
        _HttpHandler(budget), _HttpsHandler(budget), _Redirects(limits.redirects)
    )
    try:
        yield opener.open(request, timeout=budget.measure_wait())
    except urllib.error.HTTPError as error:
        # its body lies in a file of its own, which Python 3.14 warns of where it is left open
        error.close()
        raise
    finally:
        for answer in budget.answers:
            answer.close()


def read_answer(
    request: urllib.request.Request, limits: RequestLimits
) -> tuple[http.client.HTTPMessage, bytes]:
    """Return the headers and the whole body of an answer.

    Raises as `open_answer` does, and IncompleteRead where it is shorter than it said.
    """
    with open_answer(request, limits) as answer:
        body = answer.read(limits.most_bytes + 1)
        if len(body) > limits.most_bytes:
            raise TooLargeError(f"the answer has more than {limits.most_bytes:,} bytes")
        check_whole(answer, len(body))
        return answer.headers, body


def check_whole(answer: object, size: int) -> None:
    """Raises IncompleteRead for an answer of which fewer bytes came than it said."""
    length = (
        answer.headers["Content-Length"] if isinstance(answer, http.client.HTTPResponse) else None
    )
    if length is not None and length.isdecimal() and size < int(length):
        raise http.client.IncompleteRead(b"", int(length) - size)


def is_late(error: BaseException) -> bool:
    """Tell whether a request failed because time was over."""
    return isinstance(getattr(error, "reason", error), TimeoutError)


def word_fault(error: BaseException) -> str:
    """Say why a request failed, in a line without what surrounds it."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, http.client.IncompleteRead):
        missing = reason.expected
        return f"{missing:,} bytes are missing" if missing else "bytes are missing"
    return " ".join(str(reason).split())[:200] or type(reason).__name__
