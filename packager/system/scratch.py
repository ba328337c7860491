"""Folders for a moment: gone when they are no longer needed, and swept where a build was killed."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_OURS: Final = re.compile(r"packager-[a-z-]+-[0-9a-f]{8}\.scratch")
_NAME: Final = "packager-{purpose}-{drawn}.scratch"
_DRAWN_BYTES: Final = 4


@contextlib.contextmanager
def make_scratch(purpose: str) -> Iterator[Path]:
    """Yield an empty folder that only this user can enter; afterwards it is gone, with all in it.

    `purpose` is a word for its name. Raises OSError where the disk is full or cannot be written.
    """
    place = Path(tempfile.gettempdir())
    _sweep_once(place)
    folder, lock = _make_locked(place, purpose)
    try:
        yield folder
    finally:
        remove_tree(folder)
        os.close(lock)


def remove_tree(folder: Path) -> None:
    """Remove a tree of ours even where somebody has taken away the right to read or write it."""
    with contextlib.suppress(OSError):
        folder.chmod(0o755)
    for inner, names, _ in os.walk(folder):
        for each in (Path(inner, name) for name in names):
            if not each.is_symlink():
                with contextlib.suppress(OSError):
                    each.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def sweep(place: Path) -> None:
    """Remove what builds that were killed left in `place`: whoever uses a folder holds its lock.

    Raises OSError where `place` cannot be read.
    """
    with os.scandir(place) as listed:
        ours = [Path(each.path) for each in listed if _OURS.fullmatch(each.name)]
    for folder in ours:
        with contextlib.suppress(OSError):  # another user's, gone, or in use
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.geteuid():
                    remove_tree(folder)
            finally:
                os.close(lock)


@functools.cache
def _sweep_once(place: Path) -> None:
    """Sweep where the place can be listed; one that can only be written to is left alone."""
    with contextlib.suppress(PermissionError):
        sweep(place)


def _make_locked(place: Path, purpose: str) -> tuple[Path, int]:
    """A new folder and the lock on it, which the end of this process gives back, however it ends.

    Until it is locked another process may take it for one that was left.
    """
    while True:
        folder = place / _NAME.format(purpose=purpose, drawn=secrets.token_hex(_DRAWN_BYTES))
        folder.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if folder.stat().st_ino == os.fstat(lock).st_ino:
                    return folder, lock
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)
