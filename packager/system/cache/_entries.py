"""Make an entry, or check and take the one that is there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import mmap
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from packager.errors import StorageError, describe_full_disk, is_disk_full
from packager.system.cache import _manifest, _place

_LOG = logging.getLogger(__name__)
PARTIAL: Final = ".partial-"
"""How the folders begin that are being made, or being removed."""
_CONTENT: Final = "content"
"""The file of an entry that is nothing but bytes."""
_held: Final[dict[Path, int]] = {}
"""Entries that this process uses, each with an open and locked descriptor, until it ends."""

_LOCK: Final = threading.Lock()
_making: Final[WeakValueDictionary[Path, threading.RLock]] = WeakValueDictionary()
"""Locks of entries that threads of this process want now."""

Maker: TypeAlias = Callable[[Path], Mapping[str, str] | None]
"""Fills a new folder; may return the sha256 of files that it knows, by their relative names."""


def ensure(kind: str, key: str, make: Maker) -> Path:
    """The cached folder `kind/key`; `make` fills a new one, which appears only when it is whole.

    An entry that is there is compared with its manifest: files that were added go away, one that
    is damaged otherwise is made again. Nobody else removes it before this process ends. Two builds
    may race: the first to finish wins, the other's folder is dropped. Two threads of one do not.

    Raises StorageError where the cache cannot be written or the disk is full, and what `make`
    raises.
    """
    final = _place.root() / kind / key
    with _LOCK:
        own = _making.setdefault(final, threading.RLock())
    with own:
        return _ensure(kind, key, final, make)


def _ensure(kind: str, key: str, final: Path, make: Maker) -> Path:
    if _is_there(final):
        hold_entry(final)
        damage = find_damage(final)
        if damage is None:
            mark_used(final)
            return final
        _LOG.warning("%s %s in the cache is made again: %s", kind, key, damage)
    with _reporting_storage(final):
        partial = _make_partial(final)
        try:
            known = make(partial)
            partial.chmod(0o755)
            _manifest.write_manifest(partial, known)
            _put_in_place(partial, final)
            hold_entry(final)
        finally:
            release_entry(partial)
            remove_tree(partial)
    return final


def make_key(setting: object, content: bytes | mmap.mmap = b"") -> str:
    """Return the key of what `content` comes to, worked on as `setting`, which JSON can hold."""
    total = hashlib.sha256(json.dumps(setting).encode() + b"\0")
    total.update(content)
    return total.hexdigest()


def remember(kind: str, key: str, compute: Callable[[], bytes]) -> bytes:
    """Return the bytes of the cached entry `kind/key`, or compute and keep them.

    Nothing holds the entry afterwards: thousands of such may be asked for by one process.
    Raises what `ensure` and `compute` raise.
    """

    def make(folder: Path) -> None:
        (folder / _CONTENT).write_bytes(compute())

    final = ensure(kind, key, make)
    try:
        return (final / _CONTENT).read_bytes()
    finally:
        release_entry(final)


def recall(kind: str, key: str) -> bytes | None:
    """Return the bytes that `remember` kept as `kind/key`; None where no whole entry is there.

    Raises StorageError where the cache cannot be read.
    """
    final = _place.root() / kind / key
    if not _is_there(final):
        return None
    hold_entry(final)
    try:
        if find_damage(final) is not None:
            return None
        mark_used(final)
        return (final / _CONTENT).read_bytes()
    except FileNotFoundError:
        return None  # another process has just removed it
    finally:
        release_entry(final)


def forget(kind: str, key: str) -> None:
    """Remove an entry of this process's own making; one that is not there is none the less gone."""
    final = _place.root() / kind / key
    release_entry(final)
    if _is_there(final):
        remove_entry(final)


def find_damage(final: Path, *, full: bool = False) -> str | None:
    """Explain what is wrong with an entry; None where it is whole.

    Files that were added to it, bytecode for example, are removed.
    """
    if final.is_symlink() or not final.is_dir():
        return "it is no folder"
    manifest = _manifest.read_manifest(final)
    if manifest is None:
        return "its manifest is missing or cannot be read"
    difference = _manifest.compare_manifest(final, manifest, full=full)
    if difference.only_added and _remove_files(final, difference.added):
        _LOG.info("Removed from the cached %s what had been added: %s", final.name, difference)
        difference = _manifest.compare_manifest(final, manifest)
    if words := str(difference):
        return words
    if difference.touched:
        with contextlib.suppress(OSError):  # a cache that is only read stays as it is
            _manifest.refresh_times(final, manifest, difference.touched)
    return None


def mark_used(final: Path) -> None:
    """The manifest's own time says when the entry was last used."""
    with contextlib.suppress(OSError):  # a cache that is only read has no such times
        os.utime(final / _manifest.FILENAME)


def hold_entry(final: Path) -> None:
    """Keep a shared lock on the entry until this process ends.

    A file system without locks, as some network ones, protects nothing from `packager cache prune`.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(final, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError:
            os.close(descriptor)
            raise
        release_entry(final)
        _held[final] = descriptor


def release_entry(final: Path) -> None:
    """Give up the lock that `hold_entry` took."""
    if (descriptor := _held.pop(final, None)) is not None:
        os.close(descriptor)


@contextlib.contextmanager
def claim_entry(folder: Path) -> Iterator[bool]:
    """Tell whether no process uses this entry; while the block runs, none can hold it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield True  # no folder, or one that nobody can read
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    except OSError:
        yield True
    else:
        yield True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One process at a time: what one finds damaged another may just have replaced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_entry(final: Path) -> bool:
    """Take an entry away at once, its content afterwards; False where it could not be."""
    try:
        aside = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=final.parent))
        final.rename(aside / "entry")
    except OSError:
        return False
    remove_tree(aside)
    return True


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours even where the right to write to it was taken away."""
    for inner, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(inner).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _is_there(final: Path) -> bool:
    """Tell whether anything has this name, even a link that leads nowhere."""
    try:
        final.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(
            f"The cache folder {final.parent} cannot be read: {error.strerror}.\n"
            "Make it readable, or name another folder in PACKAGER_CACHE."
        ) from error
    return True


def reserve_folder(name: str) -> Path:
    """Return a folder in the cache that another program keeps its own cache in.

    Raises StorageError where the cache cannot be written, or is none.
    """
    folder = _place.root() / name
    with _reporting_unwritable(folder):
        _place.claim_place(folder.parent)
        folder.mkdir(exist_ok=True)
    return folder


def _make_partial(final: Path) -> Path:
    """An empty folder beside `final`, held so that no sweep takes it away."""
    with _reporting_unwritable(final.parent):
        _place.claim_place(final.parent.parent)
        final.parent.mkdir(exist_ok=True)
        with alone_in(final.parent):
            partial = Path(
                tempfile.mkdtemp(prefix=f"{PARTIAL}{final.name[:40]}-", dir=final.parent)
            )
            hold_entry(partial)
    return partial


def _put_in_place(partial: Path, final: Path) -> None:
    """Rename `partial` to `final`, unless another build has put a whole one there meanwhile."""
    with alone_in(final.parent):
        try:
            partial.rename(final)
        except OSError:
            if find_damage(final) is None:
                return
            remove_entry(final)
            partial.rename(final)


@contextlib.contextmanager
def _reporting_unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The cache folder {folder} cannot be written: {error}.\n"
            "Make it writable, or name another folder in PACKAGER_CACHE."
        ) from error


@contextlib.contextmanager
def _reporting_storage(final: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise StorageError(
            f"{describe_full_disk(error, final.parent)}. Nothing was left behind; free space "
            "(`packager cache prune --older-than 30d`), or set PACKAGER_CACHE to a larger disk."
        ) from error


def _remove_files(folder: Path, names: tuple[str, ...]) -> bool:
    try:
        for name in names:
            (folder / name).unlink()
    except OSError:
        return False
    return True
