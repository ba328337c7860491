"""Whole folders that are taken out of the cache again, each file checked by its digest."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Final

from packager.system.cache import _entries, _manifest, _place

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES: Final = 1 << 20


def keep_copy(kind: str, key: str, source: Path) -> None:
    """Keep a copy of the folder `source` as the entry `kind/key`, in place of an earlier one.

    Raises StorageError where the cache cannot be written or the disk is full.
    """

    def make(folder: Path) -> None:
        shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)

    _entries.forget(kind, key)
    final = _entries.ensure(kind, key, make)
    _entries.release_entry(final)


def is_copy(kind: str, key: str, folder: Path) -> bool:
    """Tell whether `folder` is what the entry holds: the same files, by their sha256, no others."""
    final = _place.root() / kind / key
    manifest = _manifest.read_manifest(final)
    if manifest is None or folder.is_symlink() or not folder.is_dir():
        return False
    _entries.mark_used(final)
    return not str(_manifest.compare_manifest(folder, manifest, full=True))


def copy_entry(kind: str, key: str, target: Path) -> bool:
    """Copy what the entry holds into the empty folder `target`; False where there is none.

    Each file is hashed as it is read. An entry that is damaged is removed, and none is there.
    Raises OSError where `target` cannot be written.
    """
    final = _place.root() / kind / key
    if not final.is_dir() or final.is_symlink():
        return False
    _entries.hold_entry(final)
    try:
        damage = _copy_checked(final, target)
        if damage is None:
            _entries.mark_used(final)
    finally:
        _entries.release_entry(final)
    if damage is None:
        return True
    _LOG.warning("%s %s in the cache is made again: %s", kind, key, damage)
    _entries.forget(kind, key)
    _entries.remove_tree(target)
    target.mkdir()
    return False


def _copy_checked(final: Path, target: Path) -> str | None:
    """Copy file by file; returns what is wrong with the entry, None where nothing is."""
    manifest = _manifest.read_manifest(final)
    if manifest is None:
        return "its manifest is missing or cannot be read"
    if manifest.links:
        return "it holds links"
    for name, file in manifest.files.items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            reader = (final / name).open("rb")
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
        total = hashlib.sha256()
        with reader, place.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                total.update(chunk)
                writer.write(chunk)
        if total.hexdigest() != file.sha256:
            return f"changed: {name}"
        place.chmod(0o755 if file.executable else 0o644)
    return None
