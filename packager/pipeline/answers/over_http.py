"""An endpoint of MLflow's protocol that is asked recorded requests.

This file imports the standard library alone, and runs on Python 3.8: an artifact takes it along as
it is. What the endpoint is given beside a request (a key, a token) comes from the environment.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

_PATH: Final = "/invocations"
_JSON: Final = "application/json"
_MARK: Final = {"x-packager-recorded": "1"}
"""It keeps generated rows out of what an app measures drift from."""
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's: https://www.rfc-editor.org/rfc/rfc9110#name-tokens"""
_BUSY: Final = frozenset({429, 502, 503, 504})
"""An endpoint that starts, or has no instance yet, answers so: it is asked again."""
_CLOSED: Final = frozenset({401, 403, 404, 405})
"""It is another address, or lets nobody in; just after a deployment it may not be so for long."""
_MOST_BYTES: Final = 64_000_000
"""Of an answer; the recorded ones have 100 kB."""
_LONGEST_SECONDS: Final = 120.0
"""That one request is waited for."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 8.0


class EndpointError(Exception):
    """The endpoint cannot be asked; the message says what to do."""


class UsageError(ValueError):
    """An address, a header or a time that cannot be used as it is."""


class Endpoint:
    """An address that is asked until the time is up; calling it asks one request."""

    def __init__(
        self, url: str, headers: Mapping[str, str], seconds: float, settle: float = 0.0
    ) -> None:
        """`seconds` is the time for all requests together.

        In the first `settle` of them a deployment is not yet known everywhere: an app that is not
        found, or lets nobody in, is asked again. Raises UsageError.
        """
        if not 1 <= seconds <= 86_400:
            raise UsageError(f"{seconds:g} seconds for the replay: give 1 to 86400.")
        self.url = read_address(url)
        self._headers = {"accept": "application/json", **headers, **_MARK, "content-type": _JSON}
        self._deadline = time.monotonic() + seconds
        self._settled = time.monotonic() + min(settle, seconds)
        self._open = urllib.request.build_opener(_NoRedirect).open

    def has_time(self) -> bool:
        return time.monotonic() < self._deadline

    def __call__(self, request: object) -> tuple[object, str]:
        """Return (answer, why there is none or ""). Raises EndpointError."""
        body, pause = json.dumps(request).encode(), _FIRST_PAUSE
        while True:
            status, answer, why = self._ask_once(body)
            settles = status in _CLOSED and time.monotonic() + pause < self._settled
            if status is not None and status not in _BUSY and not settles:
                return self._read_answer(status, answer)
            if time.monotonic() + pause >= self._deadline:
                raise EndpointError(
                    f"{self.url} was not ready in the time that was given ({why}). Look into its "
                    "log, or give more time with --timeout."
                )
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _ask_once(self, body: bytes) -> tuple[int | None, bytes, str]:
        """Return (status or None, answer, what to say of it), within the time of one request.

        A socket's timeout is one of each read: who sends a byte now and then is never late for it.
        """
        wait = min(max(self._deadline - time.monotonic(), 1.0), _LONGEST_SECONDS)
        found: list[tuple[int | None, bytes, str]] = []
        failed: list[EndpointError] = []

        def ask() -> None:
            try:
                found.append(self._send(body, wait))
            except EndpointError as error:
                failed.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(wait)
        if failed:
            raise failed[0]
        return found[0] if found else (None, b"", f"no whole answer came within {wait:.0f} s")

    def _send(self, body: bytes, wait: float) -> tuple[int | None, bytes, str]:
        asked = urllib.request.Request(self.url, body, self._headers, method="POST")  # noqa: S310 - read_address takes http and https alone
        try:
            with self._open(asked, timeout=wait) as told:
                return told.status, told.read(_MOST_BYTES + 1), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b"", f"it answered {error.code}"
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if self._lasts(reason):
                raise EndpointError(
                    f"{self.url} cannot be reached ({reason}). Check the name of the app, and the "
                    "certificates that this machine trusts (SSL_CERT_FILE)."
                ) from error
            return None, b"", f"{type(reason).__name__}: {reason}"
        except ValueError as error:  # a proxy's address, as that of the app was read
            raise EndpointError(
                f"{self.url} cannot be asked ({error}). Check the proxy that is set for it "
                "(HTTP_PROXY, HTTPS_PROXY)."
            ) from error

    def _lasts(self, reason: object) -> bool:
        """Tell whether asking again would come to the same: no such name, or no trust in it."""
        if isinstance(reason, socket.gaierror):
            return time.monotonic() >= self._settled
        return isinstance(reason, (ssl.SSLCertVerificationError, http.client.InvalidURL))

    def _read_answer(self, status: int, answer: bytes) -> tuple[object, str]:
        if status in _CLOSED:
            raise EndpointError(
                f"{self.url} answered {status}. Give the address of the deployed app, and what it "
                "asks of callers with --header NAME=VARIABLE."
            )
        if 300 <= status < 400:
            raise EndpointError(
                f"{self.url} answered {status}, which leads elsewhere. It is not followed, as it "
                "would take the headers along: give the address that it leads to."
            )
        if status != 200:
            return None, f"the endpoint answered {status}"
        if len(answer) > _MOST_BYTES:
            return None, f"the answer has more than {_MOST_BYTES} bytes"
        try:
            return json.loads(answer), ""
        except (ValueError, RecursionError):
            return None, "the answer is not JSON"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: a redirect becomes an HTTPError of its status."""


def read_address(url: str) -> str:
    """Return the address of the route that predicts, of an app's or of the route's own.

    Raises UsageError for what is no such address, or holds a secret.
    """
    try:
        parts = urlsplit(url)
        # a host's name with an empty label, or one of more than 63 characters, cannot be encoded
        host = (parts.hostname or "").encode("idna")
        usable = parts.scheme in {"http", "https"} and host != b"" and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable or any(each <= " " or each > "~" for each in url):
        shown = "What was given" if "@" in url else repr(url)
        raise UsageError(
            f"{shown} is no address of an app: give one that begins with https:// or http:// and "
            "the name of a host."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            "The address has a password, a query or a fragment, which would be logged. Give the "
            "bare address, and a key or a token with --header NAME=VARIABLE."
        )
    bare = url.rstrip("/")
    return bare if bare.endswith(_PATH) else f"{bare}{_PATH}"


def read_headers(words: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Read `NAME=VARIABLE`: a header, and the variable that has its value.

    Raises UsageError; no message has a value, nor what may be one in a variable's place.
    """
    headers: dict[str, str] = {}
    for word in words:
        name, _, variable = word.partition("=")
        if not _NAME.fullmatch(name) or not _VARIABLE.fullmatch(variable):
            raise UsageError(
                "--header: give NAME=VARIABLE, a header and the environment variable that has its "
                "value, as x-functions-key=FUNCTION_KEY. What you gave is not shown, as it may be "
                "the value."
            )
        value = environ.get(variable, "").strip()
        if not value:
            raise UsageError(
                f"--header {name}: the environment variable that you named is not set, or empty. "
                f"Set it, or correct its name: --header {name}=VARIABLE takes no value itself."
            )
        if not value.isascii() or not value.isprintable():
            raise UsageError(
                f"--header {word}: the value of {variable} has characters that no header carries."
            )
        headers[name.lower()] = value
    return headers
