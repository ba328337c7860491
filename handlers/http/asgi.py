"""A front door of the standard library alone: MLflow's four routes as an ASGI application.

For functions, where a web framework's import would cost more than the request
(https://asgi.readthedocs.io/en/latest/specs/www.html).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import replace
from typing import Any, TypeAlias

from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Answer, Scorer

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

ROUTES = {"/ping": "GET", "/health": "GET", "/version": "GET", "/invocations": "POST"}
_JSON = "application/json"
_SIZE_DIGITS = 20
NOT_FOUND = Answer(404, _JSON, b'{"detail":"Not Found"}')
NOT_ALLOWED = Answer(405, _JSON, b'{"detail":"Method Not Allowed"}')
TIMED_OUT = Answer(504, _JSON, b"Request processing time exceeded limit")


class DisconnectedError(Exception):
    """The client went away before its request was read."""


class App:
    """Asks its model outside of any event loop, as a model may run one of its own.

    In a loop, of a host that serves several requests, it asks in a thread. A function has none: it
    runs the application by `finish`, and the model where it is.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                answer = await self.answer(scope, receive)
            except DisconnectedError:
                return
            await _send(send, answer)
        else:
            raise ValueError(f"no such scope here: {scope['type']}")

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Answer an HTTP scope. Raises DisconnectedError."""
        path, method = route(scope), scope["method"]
        allowed = ROUTES.get(path)
        if allowed is None:
            return _redirect(scope, path) if path.rstrip("/") in ROUTES else NOT_FOUND
        methods = (allowed, "HEAD") if allowed == "GET" and self._scorer.head else (allowed,)
        if method not in methods:
            return replace(NOT_ALLOWED, headers=(("allow", ", ".join(methods)),))
        if path == "/version":
            return self._scorer.version()
        if path != "/invocations":
            return self._scorer.ping()
        try:
            body = await read_body(scope, receive, self._scorer.check_size)
        except ScoringError as error:
            return self._scorer.refusal(error)
        content_type = header(scope, b"content-type")
        if not in_loop():
            return self._scorer.invocations(body, content_type)
        import asyncio

        work = asyncio.to_thread(self._scorer.invocations, body, content_type)
        try:
            return await asyncio.wait_for(work, self._scorer.settings.request_timeout_seconds)
        except TimeoutError:
            return TIMED_OUT


def in_loop() -> bool:
    """Tell whether an event loop runs in this thread; imports nothing to tell."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def finish(app: App, scope: Scope, body: bytes) -> Answer:
    """The answer to a request whose body is there, without an event loop.

    Raises RuntimeError where a loop runs in this thread already.
    """

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    running = app.answer(scope, receive)
    try:
        running.send(None)
    except StopIteration as ended:
        answer: Answer = ended.value
        return answer
    running.close()
    msg = "the application waited for something"
    raise RuntimeError(msg)


def route(scope: Scope) -> str:
    """The path below a stage or a mount (`/prod/ping` with root_path `/prod` is `/ping`)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path or "/"


def _redirect(scope: Scope, path: str) -> Answer:
    """To the route without the slashes at its end, as MLflow's web framework sends it.

    Behind an API's stage the host and what stands before the path are not known here: there the
    way is told from the path that was asked.
    """
    bare = path.rstrip("/")
    host = header(scope, b"host")
    if host is None:
        to = "../" * (len(path) - len(bare)) + bare[1:]
    else:
        to = f"{scope.get('scheme', 'http')}://{host}{scope['path'].rstrip('/')}"
    query = scope.get("query_string", b"").decode("latin-1")
    return Answer(307, "", b"", headers=(("location", f"{to}?{query}" if query else to),))


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, or None; `name` in lower case."""
    for key, value in scope["headers"]:
        if key.lower() == name:
            return str(value.decode("latin-1"))
    return None


async def read_body(scope: Scope, receive: Receive, check_size: Callable[[int], None]) -> bytes:
    """The whole body, never more of it in memory than `check_size` lets pass.

    Raises what `check_size` raises, and DisconnectedError.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdecimal():
        # Python reads no more than 4,300 digits, and no body has as many bytes as 20 of them say
        check_size(int(declared[:_SIZE_DIGITS]))
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        check_size(size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def encode_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """As ASGI has them."""
    headers: Iterable[tuple[str, str]] = (
        ("content-length", str(len(answer.body))),
        *answer.headers,
        *((("content-type", answer.content_type),) if answer.content_type else ()),
    )
    return [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers]


async def _send(send: Send, answer: Answer) -> None:
    headers = encode_headers(answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
