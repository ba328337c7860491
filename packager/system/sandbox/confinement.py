"""Limits of a program that runs a model's code, and what it sees of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DEFAULT_PROCESSES: Final = 1024
"""Processes and threads together, as in a Lambda function.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""
_OF_PREFIX: Final = ("bin", "lib", "lib64", "share", "ssl")
"""Folders of a Python installation that it runs on."""
_LINKS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Whatever is not named here cannot be seen, written or reached.

    The interpreter that is started is always there to be read, and of the system's programs and
    libraries what `system` says. Paths are seen where they lie outside.
    """

    readable: tuple[Path, ...] = ()
    system: tuple[Path, ...] | None = None
    """The only ones of the system's files, links to them included; None for every program and
    library. See system_files.py."""
    writable: tuple[Path, ...] = ()
    """Folders that keep what the program writes."""
    scratch: Mapping[str, int] = field(default_factory=lambda: {"/tmp": 512 << 20})  # noqa: S108
    """Folders that are empty at first and gone at the end, with the bytes that each may hold."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that name places below `scratch`."""
    user: str = "sandbox"
    uid: int = 993
    gid: int = 990
    home: str = "/home/sandbox"
    """As the password file has it; there only where `scratch` has it."""
    network: bool = False
    cpu_files: bool = True
    """Whether /sys/devices/system is there, which tells of CPUs."""
    devices: tuple[str, ...] = ()
    """Of /dev, beside null, zero, full, random and urandom."""
    memory_bytes: int | None = None
    processes: int = DEFAULT_PROCESSES
    open_files: int = 1024


def gpu_devices() -> tuple[str, ...]:
    """Those of /dev that CUDA and ROCm open."""
    found = [
        path.name for glob in ("nvidia*", "dri", "kfd") for path in sorted(Path("/dev").glob(glob))
    ]
    return tuple(found)


def machine_memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def program_paths(program: Path) -> tuple[Path, ...]:
    """List what must be readable so that `program`, a Python or another, starts.

    A virtual environment's Python is a link to another, which may be one again: what each of them
    lies beside is needed.
    """
    needed: list[Path] = []
    path = program.absolute()
    for _ in range(_LINKS):
        needed.append(path)
        prefix = path.parent.parent
        if path.parent.name == "bin" and prefix != Path("/"):
            needed += [prefix / name for name in _OF_PREFIX if (prefix / name).is_dir()]
            needed += [prefix / "pyvenv.cfg"] if (prefix / "pyvenv.cfg").is_file() else []
        if not path.is_symlink():
            break
        path = _normal(path.parent / path.readlink())
    real = program.resolve()
    if real not in needed:
        needed += program_paths(real)
    return tuple(dict.fromkeys(needed))


def _normal(path: Path) -> Path:
    """Without `..`; links stay."""
    return Path(os.path.normpath(path))  # noqa: TID251 - pathlib has no such thing
