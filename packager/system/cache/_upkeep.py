"""Measure, check and remove what the cache holds; what a running build uses is let be."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.system.cache import _entries, _manifest, _place

_LOG = logging.getLogger(__name__)
_DIGEST: Final = re.compile(r"(.*-)?([0-9a-f]{20}|[0-9a-f]{64})")
"""How entries are called that an earlier version made, which wrote no manifest."""
_BLOCK_BYTES: Final = 512
"""Of st_blocks, whatever the file system's own are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    kind: str
    path: Path
    size_bytes: int
    """On the disk, as `du` counts."""
    used: float
    """When it was last used, in seconds since the epoch."""
    in_use: bool

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.path.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Entries that went, and those that a running build uses or that could not be removed."""

    removed: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.removed)


def list_entries(kind: str | None = None, *, by_manifest: bool = False) -> tuple[Entry, ...]:
    """Every entry, or those of one kind, in order; folders of other programs are left out.

    With `by_manifest` sizes are those that were written down when an entry was made. Else every
    file is measured. Raises StorageError where the cache cannot be read, or is none.
    """
    found: list[Entry] = []
    for path in _list_folders(kind):
        # one that goes meanwhile, as another process removes it, is passed over
        with _place.reporting_unreadable(_place.root()):
            if _is_entry(path):
                found.append(_measure_entry(path, by_manifest=by_manifest))
    return tuple(found)


def select_entries(
    entries: Sequence[Entry], *, older_seconds: float | None, max_bytes: int | None
) -> tuple[Entry, ...]:
    """Select what to remove: unused for so long, then the least recently used beyond a size."""
    now = time.time()
    old = [e for e in entries if older_seconds is not None and now - e.used > older_seconds]
    rest = sorted((e for e in entries if e not in old), key=lambda e: e.used)
    if max_bytes is not None:
        total = sum(entry.size_bytes for entry in rest)
        for entry in rest:
            if total <= max_bytes:
                break
            if not entry.in_use:
                old.append(entry)
                total -= entry.size_bytes
    return tuple(old)


def remove_entries(entries: Iterable[Entry]) -> Removed:
    """Remove each of these that no running build uses."""
    removed: list[Entry] = []
    kept: list[Entry] = []
    for entry in entries:
        with _entries.claim_entry(entry.path) as free:
            gone = free and _entries.remove_entry(entry.path)
        (removed if gone else kept).append(entry)
    return Removed(removed=tuple(removed), kept=tuple(kept))


def remove_leftovers() -> int:
    """Remove what builds that were killed left half-made; returns the bytes that this freed.

    Raises StorageError where the cache cannot be read, or is none.
    """
    freed = 0
    for path in _list_folders():
        if path.name.startswith(_entries.PARTIAL):
            with _place.reporting_unreadable(_place.root()):
                freed += _remove_leftover(path)
    return freed


def _remove_leftover(path: Path) -> int:
    # alone: a build that makes such a folder holds it a moment later
    with _entries.alone_in(path.parent), _entries.claim_entry(path) as free:
        if not free:
            return 0
        size = _size_bytes(path)
        _entries.remove_tree(path)
        return size - _size_bytes(path)


def check_entries(entries: Iterable[Entry]) -> tuple[tuple[Entry, str], ...]:
    """Read every file of every entry; the damaged ones, each with what is wrong with it."""
    damaged: list[tuple[Entry, str]] = []
    for entry in entries:
        _LOG.info("Reading %s", entry.name)
        if (damage := _entries.find_damage(entry.path, full=True)) is not None:
            damaged.append((entry, damage))
    return tuple(damaged)


def _list_folders(only: str | None = None) -> list[Path]:
    """The folders in each kind's, or in that of `only`, in order; links are not followed.

    Raises StorageError where the cache cannot be read, or is none.
    """
    top = _place.root()
    _place.check_place(top)
    found: list[Path] = []
    with _place.reporting_unreadable(top):
        for kind in sorted(top.iterdir()):
            if only in {None, kind.name} and _is_folder(kind):
                found += (path for path in sorted(kind.iterdir()) if _is_folder(path))
    return found


def _is_folder(path: Path) -> bool:
    """Tell whether it is one, and neither a link nor gone."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _is_entry(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return _has_manifest(path) or _DIGEST.fullmatch(path.name) is not None


def _has_manifest(path: Path) -> bool:
    """Tell whether it has one. Raises OSError where it may not be read, as `exists` did to 3.13."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        (path / _manifest.FILENAME).stat()
        return True
    return False


def _measure_entry(path: Path, *, by_manifest: bool) -> Entry:
    stamp = path / _manifest.FILENAME
    written = _manifest.read_size(path) if by_manifest else None
    with _entries.claim_entry(path) as free:
        return Entry(
            kind=path.parent.name,
            path=path,
            size_bytes=_size_bytes(path) if written is None else written,
            used=(stamp if _has_manifest(path) else path).stat().st_mtime,
            in_use=not free,
        )


def _size_bytes(folder: Path) -> int:
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a build may be at work in it
                total += Path(inner, name).lstat().st_blocks * _BLOCK_BYTES
    return total
