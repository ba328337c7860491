"""Type of what a program is confined by; read by type checkers alone, never at a start."""

from __future__ import annotations

from typing import TypedDict


class Spec(TypedDict):
    """JSON, from packager/system/sandbox to the program beside this file."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    features: list[str]
    uid: int
    gid: int
    user: str
    home: str
    readable: list[str]
    writable: list[str]
    system: list[str] | None
    """The platform's own folders; None for this machine's."""
    landlock_readable: list[str]
    scratch: dict[str, int]
    """Folders in memory, and each one's size in bytes."""
    devices: list[str]
    cpu_files: bool
    network: bool
    listens: bool
    memory_bytes: int | None
    processes: int
    open_files: int
