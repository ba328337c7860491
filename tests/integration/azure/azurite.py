"""Azurite, Microsoft's own emulator of Azure Storage, in memory and on ports of its own.

https://learn.microsoft.com/en-us/azure/storage/common/storage-use-azurite
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import (
    QueueClient,
    QueueServiceClient,
    TextBase64DecodePolicy,
    TextBase64EncodePolicy,
)

from packager.system import cache
from packager.system import process as _process

VERSION: Final = "3.37.0"
_ACCOUNT: Final = "devstoreaccount1"
# the emulator's, printed in its documentation: it opens nothing but an emulator
_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_START_SECONDS: Final = 60


def why_not() -> str | None:
    """Why the emulator cannot be had on this machine."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not on this machine" if missing else None


def installed() -> Path:
    """The emulator's script, fetched once. Raises ToolError."""
    npm = shutil.which("npm") or "npm"

    def make(folder: Path) -> None:
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        _process.run(
            [*install, "--prefix", folder / "azurite", f"azurite@{VERSION}"],
            env=os.environ,
            timeout_seconds=600,
        )

    folder = cache.ensure("tools", f"azurite-{VERSION}", make) / "azurite"
    return folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


@dataclass(frozen=True)
class Storage:
    """The account's two services; queues hold base64, as Azure's host has them by default."""

    blobs: BlobServiceClient
    queues: QueueServiceClient

    def queue(self, name: str) -> QueueClient:
        """Made where it is not there, as the host makes the queues that it writes to."""
        with contextlib.suppress(AzureError):
            self.queues.create_queue(name)
        return self.queues.get_queue_client(
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )

    def container(self, name: str) -> None:
        with contextlib.suppress(AzureError):
            self.blobs.create_container(name)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Storage]:
    """One that is up; nothing of it is left afterwards."""
    script, log = installed(), folder / "azurite.log"
    blob, queue, table = _free_ports(3)
    options = ("--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck")
    ports = ("--blobPort", blob, "--queuePort", queue, "--tablePort", table)
    node = shutil.which("node") or "node"
    argv: list[str | Path] = [node, script, *options, *map(str, ports)]
    process = _process.start(argv, cwd=folder, env={"HOME": str(folder)}, log=log)
    services = {"Blob": blob, "Queue": queue}
    endpoints = "".join(
        f"{name}Endpoint=http://127.0.0.1:{port}/{_ACCOUNT};" for name, port in services.items()
    )
    text = f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};{endpoints}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not all(_open(port) for port in services.values()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Azurite did not come up: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        with (
            BlobServiceClient.from_connection_string(text) as blobs,
            QueueServiceClient.from_connection_string(text) as queues,
        ):
            yield Storage(blobs, queues)
    finally:
        process.terminate()
        process.wait(10)


def _open(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
