"""Hosts that boot a built function before it is deployed: one file a kind, a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from packager.system.sandbox.confined_program import ProcessStats
from packager.targets.hosts._host import (
    PING,
    Answered,
    Boot,
    Call,
    Delivered,
    Delivers,
    Host,
)
from packager.targets.hosts.aws_lambda import LambdaHost
from packager.targets.hosts.azure_functions import WorkerHost
from packager.targets.hosts.gpu_container import ServerHost
from packager.types import HostKind

__all__ = [
    "HOSTS",
    "PING",
    "Answered",
    "Boot",
    "Call",
    "Delivered",
    "Delivers",
    "Host",
    "ProcessStats",
]

HOSTS: Final[Mapping[HostKind, Callable[[Boot], Host]]] = MappingProxyType(
    {
        HostKind.LAMBDA: LambdaHost,
        HostKind.WORKER: WorkerHost,
        HostKind.SERVER: ServerHost,
    }
)
