"""A cloud on the loopback interface, and the SAM CLI to deploy to it."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import pytest

from packager.environments import interpreters, uv_command
from packager.system import cache, process
from tests import sam

Sam: TypeAlias = Callable[..., process.Done]
_REQUIREMENTS: Final = Path(__file__).parents[2] / "tools" / "sam-requirements.txt"
_ROOT: Final = Path(__file__).parents[3]
_START_SECONDS: Final = 60


@pytest.fixture(scope="session")
def sam_cli() -> Path:
    """The pinned SAM CLI, in an environment of its own that is made once."""
    listed = _REQUIREMENTS.read_bytes()
    python = interpreters.find(f"{sys.version_info.major}.{sys.version_info.minor}")
    key = hashlib.sha256(listed + python.version.encode()).hexdigest()[:20]

    def make(folder: Path) -> None:
        venv = folder / "venv"
        uv = uv_command.path()
        env = dict(os.environ)  # a tool of ours, from the index of whoever runs the tests
        process.run([uv, "venv", "-q", "--relocatable", "--python", python.path, venv], env=env)
        install: list[str | Path] = [uv, "pip", "install", "-q", "--require-hashes"]
        process.run([*install, "--python", venv / "bin" / "python", "-r", _REQUIREMENTS], env=env)

    return cache.ensure("tools", f"sam-{key}", make) / "venv" / "bin" / "sam"


@pytest.fixture(scope="session")
def credentials() -> dict[str, str]:
    """What every client needs to be told; none of it is good anywhere else."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": sam.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture(scope="module")
def deployments_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cloud's stand-in for CodeDeploy writes a line for each deployment."""
    return tmp_path_factory.mktemp("deployments") / "log.jsonl"


@pytest.fixture(scope="module")
def endpoint(
    tmp_path_factory: pytest.TempPathFactory,
    credentials: dict[str, str],
    deployments_log: Path,
) -> Iterator[str]:
    """The address of a fresh cloud."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("cloud")
    server = process.start(
        [sys.executable, "-m", "tests.integration.aws.server", str(port)],
        cwd=_ROOT,
        env={**os.environ, **credentials, "CODEDEPLOY_LOG": str(deployments_log)},
        log=folder / "log",
    )
    # `localhost`, as moto takes only that for a host whose buckets are in the path
    address = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the cloud did not come up:\n{(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/moto-api/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def sam_in(
    sam_cli: Path,
    endpoint: str,
    credentials: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Sam:
    """`sam_in(folder, "deploy", ...)`: the CLI against the cloud, which must succeed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "AWS_ENDPOINT_URL": endpoint,
        "SAM_CLI_TELEMETRY": "0",
        **credentials,
    }

    def call(folder: Path, *args: str, check: bool = True) -> process.Done:
        argv: list[str | Path] = [sam_cli, *args]
        return process.run(argv, cwd=folder, env=environment, timeout_seconds=300, check=check)

    return call
