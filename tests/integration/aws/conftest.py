"""A cloud on the loopback interface, and the SAM CLI to deploy to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from packager.system import process
from tests.integration.aws.cloud import CREDENTIALS, call_sam, ensure_sam, serve_cloud

Sam: TypeAlias = Callable[..., process.Done]


@pytest.fixture(scope="session")
def sam_cli() -> Path:
    return ensure_sam()


@pytest.fixture(scope="session")
def credentials() -> dict[str, str]:
    return dict(CREDENTIALS)


@pytest.fixture(scope="module")
def deployments_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cloud's stand-in for CodeDeploy writes a line for each deployment."""
    return tmp_path_factory.mktemp("deployments") / "log.jsonl"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, deployments_log: Path) -> Iterator[str]:
    """The address of a fresh cloud."""
    with serve_cloud(tmp_path_factory.mktemp("cloud"), deployments_log) as address:
        yield address


@pytest.fixture(scope="module")
def sam_in(sam_cli: Path, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """`sam_in(folder, "deploy", ...)`: the CLI against the cloud, which must succeed."""
    home = tmp_path_factory.mktemp("home")

    def call(folder: Path, *args: str, check: bool = True) -> process.Done:
        return call_sam(sam_cli, endpoint, home, folder, *args, check=check)

    return call
