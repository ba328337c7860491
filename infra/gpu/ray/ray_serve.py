"""The container's own server on a Ray cluster, one a replica.

    serve run ray_serve:app function=/opt/model gpus=1 most=4

The model runs in a process of its own, with the function's folder alone on its path, so that it
meets the very packages that it was proven with, whatever Ray has loaded beside it; batches, limits
and answers are that server's. Its Python is the one that PACKAGER_PYTHON names, or Ray's own, and
of the function's minor version.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

_IN = ("accept", "content-type", "inference-header-content-length", "traceparent", "tracestate")
_OUT = ("content-type", "inference-header-content-length", "retry-after")
_START_SECONDS = 600
_DRAIN_SECONDS = 30


class Model:
    """Starts the server, hands requests on, and drains it at the end."""

    async def __init__(self, function: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._address = f"http://127.0.0.1:{port}"
        self._server = _started(function, port)
        # as many at once as Serve lets through: the server's own queue is what bounds them
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        for _ in range(_START_SECONDS * 10):
            if self._server.poll() is not None:
                msg = f"the server ended with {self._server.returncode}; its words are above"
                raise RuntimeError(msg)
            with contextlib.suppress(aiohttp.ClientError):
                async with self._session.get(f"{self._address}/ping") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
        msg = "the server was not ready in time"
        raise RuntimeError(msg)

    async def __call__(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in _IN if name in request.headers}
        url = f"{self._address}{request.url.path}"
        body = await request.body()
        async with self._session.request(
            request.method, url, data=body or None, headers=headers
        ) as answer:
            kept = {name: answer.headers[name] for name in _OUT if name in answer.headers}
            return Response(await answer.read(), answer.status, kept)

    async def check_health(self) -> None:
        """Ray starts a replica anew whose server has ended, or answers nothing."""
        if self._server.poll() is not None:
            msg = f"the server ended with {self._server.returncode}"
            raise RuntimeError(msg)
        limit = aiohttp.ClientTimeout(total=5)
        async with self._session.get(f"{self._address}/v2/health/live", timeout=limit) as answer:
            answer.raise_for_status()

    def __del__(self) -> None:
        if hasattr(self, "_server"):
            self._server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(_DRAIN_SECONDS)
            self._server.kill()


def _read_minor(function: str) -> tuple[int, int]:
    """The Python that the function was proven with, and that serves it."""
    manifest = json.loads((Path(function) / "model-manifest.json").read_text(encoding="utf-8"))
    major, minor = manifest["python"].split(".")[:2]
    return int(major), int(minor)


def _started(function: str, port: int) -> subprocess.Popen[bytes]:
    """The GPU is the one that Ray gave the replica: CUDA_VISIBLE_DEVICES goes along."""
    env = {
        **os.environ,
        "PYTHONPATH": function,
        "LD_LIBRARY_PATH": f"{function}:{function}/lib",
        "PORT": str(port),
        "PACKAGER_LINGER_SECONDS": "0",
    }
    python = os.environ.get("PACKAGER_PYTHON") or sys.executable
    # Pythons before 3.11 do not know -P, which leaves out a folder that PYTHONPATH has anyway
    options = ["-P", "-s"] if _read_minor(function) >= (3, 11) else ["-s"]
    argv = [python, *options, "-m", "handlers.container", "serve"]
    return subprocess.Popen(argv, cwd=function, env=env)


def app(args: dict[str, str]) -> serve.Application:
    """`function` is the emitted folder's function/, on every node; `least`, `most` are replicas."""
    deployment = serve.deployment(
        Model,
        name="model",
        ray_actor_options={"num_gpus": float(args.get("gpus", 1)), "num_cpus": 1},
        # more than two batches: what waits together goes together
        max_ongoing_requests=int(args.get("at_once", 256)),
        autoscaling_config={
            "min_replicas": int(args.get("least", 1)),
            "max_replicas": int(args.get("most", 4)),
            "target_ongoing_requests": 64,
        },
        graceful_shutdown_timeout_s=_DRAIN_SECONDS,
        health_check_timeout_s=30,
    )
    return deployment.bind(args["function"])
