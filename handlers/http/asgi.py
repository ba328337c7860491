"""The router as an ASGI application of the standard library alone, for servers.

https://asgi.readthedocs.io/en/latest/specs/www.html. The model is asked in a thread, outside of the
server's event loop, as it may run one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import copy_context
from functools import partial
from typing import Any

from handlers.http.router import Headers, Router, check_length, decode_headers, encode_headers
from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Answer, Scorer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar

    Result = TypeVar("Result")


Message: TypeAlias = "MutableMapping[str, Any]"
Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"

TIMED_OUT = (TimeoutError, asyncio.TimeoutError)
"""What is raised where the time is up: two classes before Python 3.11."""
_TOO_LATE = Answer(504, "application/json", b"Request processing time exceeded limit")


class DisconnectedError(Exception):
    """The client went away before its request was read."""


class App:
    """The routes of one scorer, as a server calls them."""

    def __init__(self, scorer: Scorer, *, ping: Callable[[], Answer] | None = None) -> None:
        """`ping` answers in place of the scorer, for a server with a queue of its own."""
        self._scorer = scorer
        self.router = Router(scorer, ping=ping)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                answer = await self._answer(scope, receive)
            except DisconnectedError:
                return
            await _send(send, answer)
        else:
            raise ValueError(f"no such scope here: {scope['type']}")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = decode_headers(scope["headers"])
        known = self.router.answer_unread(
            scope["method"],
            route(scope),
            address=_read_address(scope, headers),
            query=scope.get("query_string", b"").decode("latin-1"),
        )
        return await self._score_within_time(headers, receive) if known is None else known

    async def _score_within_time(self, headers: Headers, receive: Receive) -> Answer:
        work = self._read_and_score(headers, receive)
        try:
            return await asyncio.wait_for(work, self._scorer.settings.request_timeout_seconds)
        except TIMED_OUT:
            return _TOO_LATE

    async def _read_and_score(self, headers: Headers, receive: Receive) -> Answer:
        try:
            body = await read_body(headers, receive, self._scorer)
        except ScoringError as error:
            return self._scorer.refusal(error)
        content_type = headers.get("content-type")
        return await run_in_thread(self._scorer.invocations, body, content_type)


async def run_in_thread(function: Callable[..., Result], *given: object) -> Result:
    """As asyncio.to_thread, which Python has from 3.9 on."""
    work = partial(copy_context().run, function, *given)
    return await asyncio.get_running_loop().run_in_executor(None, work)


def route(scope: Scope) -> str:
    """The path below a stage or a mount (`/prod/ping` with root_path `/prod` is `/ping`)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path or "/"


def _read_address(scope: Scope, headers: Headers) -> str:
    host = headers.get("host")
    return "" if host is None else f"{scope.get('scheme', 'http')}://{host}{scope['path']}"


async def read_body(headers: Headers, receive: Receive, scorer: Scorer) -> bytes:
    """Read the whole body, never more of it into memory than the scorer takes.

    Raises TooLargeError and DisconnectedError.
    """
    check_length(headers, scorer)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        scorer.check_size(size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, answer: Answer) -> None:
    headers = encode_headers(answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
