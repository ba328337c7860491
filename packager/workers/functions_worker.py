"""One Azure function app, run by the real worker library: indexed, then invoked on request.

    python azure_functions.py APP HOME CLIENT SOCKET

APP is the folder as it is deployed, HOME in it is that of its packages, CLIENT has the worker's
library. The process connects to SOCKET, says there what it indexed, and answers each message with
one. A message is JSON after its length in four bytes; bytes in it are base64. Run by the target's
Python. What stands in for the platform is its part of the protocol alone: the messages are the
worker's own, and are handed over as its dispatcher would
(https://github.com/Azure/azure-functions-python-worker/tree/dev/workers/proxy_worker).
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
import socket
import struct
import sys
import time
import uuid
from typing import Any

_LENGTH = struct.Struct("!I")
_OWN = ("google", "grpc")
"""Packages of the worker that it forgets before it imports an app, whose own come first."""


class Request:
    """As proxy_worker.dispatcher.WorkerRequest."""

    def __init__(self, name: str, request: object, properties: dict[str, object]) -> None:
        self.name = name
        self.request = request
        self.properties = properties


class Worker:
    """The worker's library over one app."""

    def __init__(self, app: str, home: str, client: str) -> None:
        sys.path.append(client)
        # the name that the wheel gives its message classes
        messages = importlib.import_module("tests.protos")
        for name in [each for each in sys.modules if each.partition(".")[0] in _OWN]:
            del sys.modules[name]
        sys.path.insert(0, home)
        sys.path.append(app)
        self._library: Any = importlib.import_module("azure_functions_runtime")
        self._messages: Any = messages
        self._app = app
        self._ids: dict[str, str] = {}

    async def index(self) -> dict[str, Any]:
        """Return what the worker says at its start: the functions, or why there are none."""
        self._library.start_threadpool_executor()
        m = self._messages
        begun, cpu_begun = time.perf_counter(), time.process_time()
        asked = m.WorkerInitRequest(host_version="4.0.0", function_app_directory=self._app)
        done = await self._ask("worker_init_request", asked)
        if done.result.status != m.StatusResult.Success:
            error = done.result.exception
            return {"failure": error.message, "trace": error.stack_trace}
        asked = m.FunctionsMetadataRequest(function_app_directory=self._app)
        listed = await self._ask("functions_metadata_request", asked)
        for each in listed.function_metadata_results:
            load = m.FunctionLoadRequest(function_id=each.function_id, metadata=each)
            await self._ask("function_load_request", load)
            self._ids[each.name] = each.function_id
        return {
            "functions": {
                each.name: [json.loads(raw) for raw in each.raw_bindings]
                for each in listed.function_metadata_results
            },
            "index_ms": (time.perf_counter() - begun) * 1000,
            "index_cpu_ms": (time.process_time() - cpu_begun) * 1000,
            "runtime": done.worker_metadata.worker_version,
        }

    async def invoke(self, asked: dict[str, Any]) -> dict[str, Any]:
        m = self._messages
        request = m.InvocationRequest(
            invocation_id=str(uuid.uuid4()),
            function_id=self._ids[asked["function"]],
            input_data=[
                m.ParameterBinding(name=name, data=self._make_typed_data(data))
                for name, data in asked["inputs"].items()
            ],
            trigger_metadata={
                name: self._make_typed_data(data)
                for name, data in asked.get("metadata", {}).items()
            },
            # of the host's own span, which is sampled
            trace_context={"trace_parent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"},
        )
        done = await self._ask("invocation_request", request)
        if done.result.status != m.StatusResult.Success:
            error = done.result.exception
            return {"failure": error.message, "trace": error.stack_trace}
        return {
            "returned": _plain(done.return_value),
            "outputs": {each.name: _plain(each.data) for each in done.output_data},
        }

    def stop(self) -> None:
        self._library.stop_threadpool_executor()

    async def _ask(self, name: str, message: object) -> Any:
        streamed = self._messages.StreamingMessage(**{name: message})
        properties = {"host": "127.0.0.1", "protos": self._messages}
        return await getattr(self._library, name)(Request(name, streamed, properties))

    def _make_typed_data(self, data: dict[str, Any]) -> object:
        """`{"string": "a"}`, `{"json": ...}`, `{"bytes": base64}`, `{"http": {...}}` and lists."""
        m = self._messages
        ((kind, value),) = data.items()
        if kind == "http":
            body = m.TypedData(bytes=base64.b64decode(value["body"]))
            return m.TypedData(http=m.RpcHttp(**{**value, "body": body}))
        if kind == "json":
            return m.TypedData(json=json.dumps(value))
        if kind == "bytes":
            return m.TypedData(bytes=base64.b64decode(value))
        if kind == "collection_string":
            return m.TypedData(collection_string={"string": value})
        return m.TypedData(**{kind: value})


def _plain(data: Any) -> Any:
    """The same the other way round; None for what holds nothing."""
    kind = data.WhichOneof("data")
    if kind is None:
        return None
    if kind == "http":
        http = data.http
        return {
            "http": {
                "status": int(http.status_code),
                "headers": dict(http.headers),
                "body": _text_of(http.body),
            }
        }
    if kind == "bytes":
        return {"bytes": base64.b64encode(data.bytes).decode("ascii")}
    return {kind: getattr(data, kind)}


def _text_of(body: Any) -> str:
    kind = body.WhichOneof("data")
    raw = body.bytes if kind == "bytes" else (getattr(body, kind).encode() if kind else b"")
    return base64.b64encode(raw).decode("ascii")


def _read(connection: socket.socket, size: int) -> bytes:
    """Raises EOFError where the other side has gone."""
    chunks: list[bytes] = []
    while size:
        chunk = connection.recv(min(size, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _send(connection: socket.socket, message: dict[str, object]) -> None:
    raw = json.dumps(message).encode()
    connection.sendall(_LENGTH.pack(len(raw)) + raw)


async def serve(worker: Worker, connection: socket.socket) -> None:
    indexed = await worker.index()
    _send(connection, indexed)
    while "failure" not in indexed:
        try:
            (size,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
            asked = json.loads(_read(connection, size))
        except EOFError:
            break
        _send(connection, await worker.invoke(asked))
    worker.stop()


def main(app: str, home: str, client: str, address: str) -> None:
    os.chdir(app)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        asyncio.run(serve(Worker(app, home, client), connection))


if __name__ == "__main__":
    main(*sys.argv[1:5])
