"""Trees of files: walked in one order, and their digests."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from packager.types import FileRecord

_TICK_NS: Final = 100_000_000
"""A change within one tick of the file system's clock, some 4 ms, would not show in its times."""
_READ: Final[dict[tuple[int, ...], str]] = {}
"""Device, inode, size and times -> sha256: each pass of slimming describes the same tree."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(root: Path) -> Iterator[Path]:
    """Each file under `root`, relative, in an order that no file system decides."""
    yield from map(Path, _list_names(root))


def _list_names(root: Path) -> list[str]:
    start = len(str(root)) + 1  # a path object for each folder and file would be slow
    found = (f"{folder}/{name}"[start:] for folder, _, names in os.walk(root) for name in names)
    return sorted(found)


def records(root: Path) -> Iterator[FileRecord]:
    """Describe each file. One whose inode and times are as they were is not read again."""
    for name in _list_names(root):
        now = os.stat(f"{root}/{name}")  # noqa: PTH116 - a path object for each would be slow
        state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if (known := _READ.get(state)) is None:
            before = time.time_ns()
            known = sha256(root / name)
            if before - now.st_ctime_ns > _TICK_NS:
                _READ[state] = known
        yield FileRecord(PurePosixPath(name), known, now.st_size)


def digest(files: Iterable[FileRecord]) -> str:
    """One sha256 for a whole tree: over path and digest of each file, sorted by path."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path.as_posix()):
        total.update(f"{file.path}\0{file.sha256}\n".encode())
    return total.hexdigest()
