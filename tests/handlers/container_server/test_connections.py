"""The container's server over sockets: who sends slowly, without end or too much is sent away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from handlers import container
from handlers.container_server import open_inference_protocol
from handlers.container_server.service import Service
from tests.handlers import serving
from tests.handlers.scorers import Recording

BODY = json.dumps({"dataframe_split": {"columns": ["x", "kind"], "data": [[1, "a"]]}}).encode()
HEAD = b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
PING = b"GET /ping HTTP/1.1\r\nhost: a\r\n\r\n"
FLOOD_BYTES = 8_000_000


@contextmanager
def listening(service: Service, folder: Path) -> Iterator[int]:
    """The port of a server that is ready."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(container.make_config(service, folder, 0))

        async def serve() -> None:
            await service.start()
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "_HEAD_SECONDS", 0.3)
        patch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "0.5")
        with listening(serving.service(Recording(), folder), folder) as made:
            yield made


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_all(client: socket.socket) -> bytes:
    """Everything up to the server's end of the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while block := client.recv(65_536):
            found += block
    return found


def statuses(answer: bytes) -> list[int]:
    parts = answer.split(b"HTTP/1.1 ")[1:]
    return [int(part[:3]) for part in parts]


def ask(port: int, *sent: bytes) -> list[int]:
    """Statuses of what is sent, whose last request ends the connection."""
    with connect(port) as client:
        for part in sent:
            client.sendall(part)
        return statuses(read_all(client))


def test_requests_in_one_piece_are_answered_in_turn(port: int) -> None:
    last = WHOLE.replace(b"host: a\r\n", b"host: a\r\nconnection: close\r\n")
    assert ask(port, WHOLE + PING + WHOLE + last) == [200] * 4


@pytest.mark.parametrize("head", [b"", b"POST /invo", HEAD, WHOLE + HEAD], ids=len)
def test_headers_that_do_not_come_end_the_connection(port: int, head: bytes) -> None:
    begun = time.monotonic()
    assert ask(port, head) == ([200] if head.startswith(WHOLE) else [])
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("length", [b"content-length: 500", b"transfer-encoding: chunked"])
def test_a_body_that_does_not_come_is_answered_and_ends_the_connection(
    port: int, length: bytes
) -> None:
    assert ask(port, HEAD + length + b"\r\n\r\n") == [504]


def test_a_body_that_drips_on_after_its_answer_ends_the_connection(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD + b"content-length: 999999999\r\n\r\n")
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 10:
                client.sendall(b"x")
                time.sleep(0.02)
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "large",
    [
        WHOLE.replace(
            b"host: a", b"".join(b"x%d: %s\r\n" % (n, b"a" * 999) for n in range(75)) + b"host: a"
        ),
        WHOLE.replace(b"/invocations", b"/invocations?q=" + b"a" * 40_000).replace(
            b"host: a", b"x: " + b"b" * 40_000 + b"\r\nhost: a"
        ),
    ],
    ids=["headers", "a path and a header"],
)
def test_a_request_whose_head_is_too_large_is_told_so_and_not_begun(
    port: int, large: bytes
) -> None:
    """It comes in one piece: the whole head is there before anybody counts."""
    assert ask(port, large) == [431]
    assert ask(port, WHOLE + large) == [200]


@pytest.mark.parametrize("rest", [b"\r\n", b"\r\n\r\n"])
def test_bytes_that_begin_no_request_do_not_hold_a_connection(port: int, rest: bytes) -> None:
    with connect(port) as client:
        client.sendall(WHOLE)
        assert statuses(client.recv(65_536)) == [200]
        client.sendall(rest)  # which stops the timer of a connection that is kept for more
        begun = time.monotonic()
        read_all(client)
    assert time.monotonic() - begun < 4


def _repeat(unit: bytes) -> Iterator[bytes]:
    block = unit * (65_536 // len(unit))
    for _ in range(FLOOD_BYTES // len(block)):
        yield block


FLOODS: dict[str, tuple[bytes, bytes]] = {
    "a header": (HEAD + b"x: ", b"a"),
    "headers": (HEAD, b"a: b\r\n"),
    "a path": (b"POST /", b"a"),
    "trailers": (CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY), b"a: b\r\n"),
    "a chunk's extensions": (CHUNKED + b"1;", b"a=b;"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_headers_without_an_end_are_not_read_on(port: int, name: str) -> None:
    head, unit = FLOODS[name]
    sent = 0
    with connect(port) as client, contextlib.suppress(ConnectionError):
        client.sendall(head)
        for block in _repeat(unit):
            client.sendall(block)
            sent += len(block)

    assert sent < FLOOD_BYTES * 0.9
    assert ask(port, PING.replace(b"host", b"connection: close\r\nhost")) == [200]


def test_headers_of_a_common_size_are_read(port: int) -> None:
    headers = b"".join(b"x-%d: %s\r\n" % (i, b"a" * 1000) for i in range(40))
    close = b"connection: close\r\n"
    assert ask(port, WHOLE.replace(b"host: a\r\n", b"host: a\r\n" + headers + close)) == [200]


def test_the_headers_of_many_requests_on_a_connection_are_not_added_up(port: int) -> None:
    last = PING.replace(b"host", b"connection: close\r\nhost")
    assert ask(port, *[PING] * 3000, last) == [200] * 3001


def test_bodies_beyond_the_memory_for_them_are_refused_and_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "30")
    made = serving.service(Recording(), tmp_path, queue_bytes=100_000)
    close = b"connection: close\r\n"
    with listening(made, tmp_path) as port, connect(port) as held:
        begin = HEAD + b"content-length: 90000\r\n\r\n" + b" " * 80_000
        held.sendall(begin)
        _wait(
            lambda: ask(port, HEAD + close + b"content-length: 50000\r\n\r\n" + b" " * 50_000),
            [429],
        )
        assert ask(port, WHOLE.replace(b"host", close + b"host")) == [200]
        held.sendall(b" " * (10_000 - len(BODY)) + BODY + WHOLE.replace(b"host", close + b"host"))
        assert statuses(read_all(held)) == [200, 200]
        # as large as one may be, which alone is taken whatever the limit
        assert ask(port, HEAD + close + b"content-length: 150000\r\n\r\n" + b" " * 150_000) == [400]


def _wait(ask: Callable[[], Any], expected: Any) -> None:
    """Until what was sent before has been read."""
    end = time.monotonic() + 20
    while ask() != expected:
        assert time.monotonic() < end


@pytest.mark.parametrize("part", ["read", "write"])
def test_a_large_body_of_the_open_protocol_holds_up_nobody(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = serving.service(Recording(), tmp_path)
    own = getattr(open_inference_protocol, part)
    on_loop: list[bool] = []

    def noting(*given: Any) -> Any:
        try:
            on_loop.append(asyncio.get_running_loop() is not None)
        except RuntimeError:
            on_loop.append(False)
        return own(*given)

    monkeypatch.setattr(open_inference_protocol, part, noting)
    tensor = {"name": "x", "datatype": "FP64", "shape": [9000], "data": [0.5] * 9000}
    words = {"name": "kind", "datatype": "BYTES", "shape": [9000], "data": ["a"] * 9000}
    body = json.dumps({"inputs": [tensor, words]}).encode()
    with listening(made, tmp_path) as port:
        path = f"POST /v2/models/{made.manifest.model_name}/infer HTTP/1.1\r\n".encode()
        head = path + b"host: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        assert ask(port, head % len(body) + body) == [200]
    assert on_loop == [False]
