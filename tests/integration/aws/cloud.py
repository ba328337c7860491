"""A cloud on the loopback interface, as a process, and the SAM CLI that deploys to it."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx

from packager.environments import interpreters, uv_command
from packager.system import cache, process
from tests import sam

CREDENTIALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": sam.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
)
"""What every client needs to be told; none of it is good anywhere else."""
_REQUIREMENTS: Final = Path(__file__).parents[2] / "tools" / "sam-requirements.txt"
_ROOT: Final = Path(__file__).parents[3]
_START_SECONDS: Final = 60


def ensure_sam() -> Path:
    """Return the pinned SAM CLI, in an environment of its own that is made once.

    It is compiled then: bytecode that a run added would be damage to whoever looks at it meanwhile.
    """
    listed = _REQUIREMENTS.read_bytes()
    python = interpreters.find(f"{sys.version_info.major}.{sys.version_info.minor}")
    key = hashlib.sha256(listed + python.version.encode() + b" compiled").hexdigest()[:20]

    def make(folder: Path) -> None:
        venv = folder / "venv"
        uv = uv_command.path()
        env = dict(os.environ)  # a tool of ours, from the index of whoever runs the tests
        process.run([uv, "venv", "-q", "--relocatable", "--python", python.path, venv], env=env)
        install: list[str | Path] = [uv, "pip", "install", "-q", "--require-hashes"]
        install.append("--compile-bytecode")
        process.run([*install, "--python", venv / "bin" / "python", "-r", _REQUIREMENTS], env=env)

    return cache.ensure("tools", f"sam-{key}", make) / "venv" / "bin" / "sam"


@contextmanager
def serve_cloud(folder: Path, deployments_log: Path) -> Iterator[str]:
    """Run a fresh cloud for as long as the block runs; its address. Its log lies in `folder`.

    Each deployment of an alias is a line of JSON in `deployments_log`. Raises RuntimeError where
    the cloud does not come up.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = process.start(
        [sys.executable, "-m", "tests.integration.aws.server", str(port)],
        cwd=_ROOT,
        env={**os.environ, **CREDENTIALS, "CODEDEPLOY_LOG": str(deployments_log)},
        log=folder / "log",
    )
    # `localhost`, as moto takes only that for a host whose buckets are in the path
    address = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The cloud did not come up:\n{(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def call_sam(
    cli: Path, address: str, home: Path, folder: Path, *args: str, check: bool
) -> process.Done:
    """Run the CLI in `folder` against the cloud. Raises ToolError where it fails and `check`."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ENDPOINT_URL": address,
        "SAM_CLI_TELEMETRY": "0",
        **CREDENTIALS,
    }
    argv: list[str | Path] = [cli, *args]
    return process.run(argv, cwd=folder, env=environment, timeout_seconds=300, check=check)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/moto-api/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
