"""Byte-for-byte repeatable archives and digests."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from packager.types import FileRecord

# the earliest time that a zip can state
EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE_FILE = 0o100644
_MODE_EXECUTABLE = 0o100755


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(root: Path) -> Iterator[Path]:
    """Each file under `root`, relative, in an order that no file system decides."""
    found = (
        Path(folder, name).relative_to(root) for folder, _, names in os.walk(root) for name in names
    )
    yield from sorted(found, key=lambda path: path.as_posix())


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


def write_zip(root: Path, out: Path) -> Path:
    """Pack the tree sorted, with fixed times and modes: the same tree gives the same bytes."""
    with zipfile.ZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for relative in walk(root):
            path = root / relative
            info = zipfile.ZipInfo(relative.as_posix(), date_time=EPOCH)
            info.create_system = 3
            executable = path.stat().st_mode & 0o100
            info.external_attr = (_MODE_EXECUTABLE if executable else _MODE_FILE) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            info.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    return out
