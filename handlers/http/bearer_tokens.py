"""Bearer tokens of an issuer, checked before a request reaches the server's routes.

A token is a JWT, signed by a key that the issuer publishes (JWKS). PyJWT checks the signature, the
issuer, the audience and the times; the algorithms are the deployer's, and never a shared secret's.
Keys are read once an hour, and again for a key that is not known, at most twice a minute. A server
that asks for no token does not import this module.

https://www.rfc-editor.org/rfc/rfc8725 (JWT's best practices), rfc6750 (the answers).
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

import jwt

from handlers.http.asgi import Receive, Scope, Send, run_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from handlers.container_server.settings import TokenSettings

    App: TypeAlias = "Callable[[Scope, Receive, Send], Awaitable[None]]"

_LOG = logging.getLogger(__name__)
OPEN = frozenset({"/ping", "/health", "/v2/health/live", "/v2/health/ready"})
"""Paths that a platform's probes ask without a token."""
_KEYS_SECONDS = 3600.0
"""After which keys are read again: the issuer may have withdrawn one."""
_PAUSE_SECONDS = 30.0
"""Between two readings at least: whoever sends unknown keys makes no traffic for the issuer."""
_LONG_PAUSE_SECONDS = 300.0
"""The same for keys that are only old: they are good while the issuer is silent."""
_STALE_SECONDS = 86_400.0
"""For which keys are kept where the issuer does not answer."""
_WAIT_SECONDS = 5.0
"""For which a request waits for the keys, however slowly the issuer sends them."""
_READING_SECONDS = 30.0
"""After which a reading is given up, so that another may begin."""
_MOST_BYTES = 1_000_000
_LONGEST_TOKEN = 16_384
_KINDS = frozenset({"RSA", "EC", "OKP"})


class TokenError(Exception):
    """The request has no valid token; `description` says why, and nothing of what was expected."""

    def __init__(self, description: str, error: str = "invalid_token") -> None:
        super().__init__(description)
        self.description, self.error = description, error


class KeysUnavailableError(Exception):
    """The issuer's keys could not be read."""


class Keys:
    """The issuer's public keys, as often read as they may have changed."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._keys: list[Mapping[str, object]] = []
        self._read_at = self._tried_at = self._began_at = float("-inf")
        self._lock = asyncio.Lock()
        self._reading: asyncio.Task[list[Mapping[str, object]]] | None = None

    async def find(self, name: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the key of that `kid`; raises TokenError and KeysUnavailableError.

        Only who needs a reading waits for it: whoever sends unknown keys holds up nobody else.
        """
        found = self._choose(name, algorithm)
        if found is None:
            await self._refresh(_PAUSE_SECONDS, _PAUSE_SECONDS)
        elif self._is_due(_KEYS_SECONDS, _LONG_PAUSE_SECONDS):
            await self._refresh(_KEYS_SECONDS, _LONG_PAUSE_SECONDS)
        else:
            return found
        found = self._choose(name, algorithm)
        if found is None:
            raise TokenError("The token is not valid here")
        return found

    def _choose(self, name: str | None, algorithm: str) -> jwt.PyJWK | None:
        if self._are_stale():
            return None
        fitting = [key for key in self._keys if name is None or key.get("kid") == name]
        if len(fitting) != 1 or fitting[0].get("alg", algorithm) != algorithm:
            return None
        try:
            return jwt.PyJWK(dict(fitting[0]), algorithm=algorithm)
        except jwt.PyJWTError:
            return None

    def _are_stale(self) -> bool:
        return time.monotonic() - self._read_at > _STALE_SECONDS

    def _is_due(self, seconds: float, pause: float) -> bool:
        """Say if the keys are older than that, and the last try lies a pause behind."""
        now = time.monotonic()
        return now - self._read_at >= seconds and now - self._tried_at >= pause

    async def _refresh(self, seconds: float, pause: float) -> None:
        async with self._lock:
            if self._is_due(seconds, pause):
                self._tried_at = time.monotonic()
                try:
                    await self._read()
                except (OSError, ValueError) as error:
                    _LOG.warning("The issuer's keys could not be read: %s", type(error).__name__)
            if self._are_stale():
                raise KeysUnavailableError

    async def _read(self) -> None:
        """Read the keys, or go on with a reading that took too long. Raises OSError, ValueError."""
        if self._reading is None:
            self._began_at = self._tried_at
            self._reading = asyncio.create_task(run_in_thread(read_keys, self._address))
        done, _ = await asyncio.wait({self._reading}, timeout=_WAIT_SECONDS)
        if not done:
            raise TimeoutError("the issuer sends its keys too slowly")
        reading, self._reading = self._reading, None
        self._keys, self._read_at = reading.result(), self._began_at


def read_keys(address: str) -> list[Mapping[str, object]]:
    """Read the public keys that signatures are checked with. Raises OSError and ValueError."""
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(address, timeout=_WAIT_SECONDS) as answer:
            text = _read_in_time(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except http.client.HTTPException as error:
        raise ValueError("the address does not answer as HTTP does") from error
    if len(text) > _MOST_BYTES:
        raise ValueError("the keys have more than a megabyte")
    try:
        told = json.loads(text)
    except RecursionError as error:
        raise ValueError("the address has no JSON") from error
    found = told.get("keys") if isinstance(told, dict) else None
    if isinstance(found, list):
        return [each for each in found if _signs(each)]
    raise ValueError("the address has no JSON Web Key Set")


def _read_in_time(answer: http.client.HTTPResponse) -> bytes:
    """Read up to a byte too many. Raises TimeoutError, for a byte now and then too."""
    ends, text = time.monotonic() + _READING_SECONDS, b""
    while piece := answer.read1(_MOST_BYTES + 1 - len(text)):
        text += piece
        if time.monotonic() > ends:
            raise TimeoutError("the issuer sends its keys too slowly")
    return text


def _signs(entry: object) -> bool:
    """Say if it is a public key for signatures; others are passed over (RFC 7517, section 5)."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return False
    kind = entry.get("kty")
    return isinstance(kind, str) and kind in _KINDS


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: the keys are those of the address that was set."""


class TokenGuard:
    """An ASGI application that asks for a token, around one that does not."""

    def __init__(
        self, app: App, settings: TokenSettings, count_refused: Callable[[int], None]
    ) -> None:
        """`count_refused` is told the status of each answer that is given here."""
        self._app, self._settings = app, settings
        self._keys = Keys(settings.keys)
        self._count_refused = count_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                await self.check(scope["headers"])
            except TokenError as error:
                challenge = "Bearer"
                if error.error:
                    challenge = f'Bearer error="{error.error}", error_description="{error}"'
                await self._refuse(send, 401, str(error), ("www-authenticate", challenge))
                return
            except KeysUnavailableError:
                message = "Tokens cannot be checked now: the issuer's keys are not there"
                await self._refuse(send, 503, message, ("retry-after", str(int(_PAUSE_SECONDS))))
                return
        await self._app(scope, receive, send)

    async def check(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Raises TokenError, and KeysUnavailableError where nothing can be said of the token."""
        token = _read_token(headers)
        settings = self._settings
        try:
            head = jwt.get_unverified_header(token)
            algorithm, name = head.get("alg"), head.get("kid")
            # no extension is known here, and an older PyJWT passes over what must be known
            if algorithm not in settings.algorithms or "crit" in head:
                raise TokenError("The token is not valid here")
            payload = jwt.decode(
                token,
                (await self._keys.find(name, algorithm)).key,
                algorithms=[algorithm],
                audience=list(settings.audiences),
                issuer=settings.issuer,
                leeway=settings.leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
            # PyJWT 2.10.0 takes any part of the issuer's address (CVE-2024-53861)
            if payload["iss"] != settings.issuer:
                raise TokenError("The token is not valid here")
        except jwt.ExpiredSignatureError:
            raise TokenError("The token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenError("The token is not valid here") from None

    async def _refuse(self, send: Send, status: int, message: str, header: tuple[str, str]) -> None:
        self._count_refused(status)
        code = "UNAUTHENTICATED" if status == 401 else "TEMPORARILY_UNAVAILABLE"
        body = json.dumps({"error_code": code, "message": f"{message}."}).encode()
        pairs = (("content-type", "application/json"), ("content-length", str(len(body))), header)
        sent = [(key.encode(), value.encode()) for key, value in pairs]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})


def _read_token(headers: list[tuple[bytes, bytes]]) -> str:
    """Raises TokenError for a request with no token, or with several."""
    found = list(_find_values(headers))
    if len(found) != 1:
        raise TokenError("The request needs one bearer token", error="")
    scheme, _, token = found[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenError("The request needs one bearer token", error="")
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        raise TokenError("The token is not valid here")
    return token.strip()


def _find_values(headers: list[tuple[bytes, bytes]]) -> Iterator[str]:
    for key, value in headers:
        if key.lower() == b"authorization":
            yield value.decode("latin-1")
