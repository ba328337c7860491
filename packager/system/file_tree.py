"""Trees of files: walked in one order, and their digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from packager.types import FileRecord


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(root: Path) -> Iterator[Path]:
    """Each file under `root`, relative, in an order that no file system decides."""
    start = len(str(root)) + 1  # a path object for each folder and file would be slow
    found = (f"{folder}/{name}"[start:] for folder, _, names in os.walk(root) for name in names)
    for relative in sorted(found):
        yield Path(relative)


def records(root: Path) -> Iterator[FileRecord]:
    for relative in walk(root):
        path = root / relative
        yield FileRecord(PurePosixPath(relative.as_posix()), sha256(path), path.stat().st_size)


def digest(files: Iterable[FileRecord]) -> str:
    """One sha256 for a whole tree: over path and digest of each file, sorted by path."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path.as_posix()):
        total.update(f"{file.path}\0{file.sha256}\n".encode())
    return total.hexdigest()
