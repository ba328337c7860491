"""Local hosts that boot a built function before it is deployed: a file a `HostKind`, a line here.

A target names one of these, and several targets may name the same. Verification and the commands
`invoke` and `serve --as-deployed` boot an artifact here and send it requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from packager.system.sandbox.confined_program import ProcessStats
from packager.targets.hosts import functions_worker_library
from packager.targets.hosts._host import (
    PING,
    Answered,
    Boot,
    Call,
    Delivered,
    Delivers,
    Host,
    LocalWeights,
)
from packager.targets.hosts.functions_worker import WorkerHost
from packager.targets.hosts.http_server import ServerHost
from packager.targets.hosts.runtime_interface_client import LambdaHost
from packager.targets.lambda_emulator import parts
from packager.types import HostKind, Interpreter

__all__ = [
    "HOSTS",
    "PING",
    "Answered",
    "Boot",
    "Call",
    "Delivered",
    "Delivers",
    "Host",
    "LocalWeights",
    "ProcessStats",
    "fetch_parts",
]

HOSTS: Final[Mapping[HostKind, Callable[[Boot], Host]]] = MappingProxyType(
    {
        HostKind.LAMBDA: LambdaHost,
        HostKind.WORKER: WorkerHost,
        HostKind.SERVER: ServerHost,
    }
)


def fetch_parts(
    kind: HostKind, interpreter: Interpreter, provided: Sequence[str], *, brought: bool = False
) -> None:
    """Put what boots a function into the cache, where a boot finds it. Raises ToolError.

    `brought` as of a function that brings its own runtime client.
    """
    if kind is HostKind.LAMBDA:
        parts.runtime_client(interpreter, provided, brought=brought)
        parts.emulator_binary(interpreter)
    elif kind is HostKind.WORKER:
        functions_worker_library.native(interpreter)
        functions_worker_library.client(interpreter)
