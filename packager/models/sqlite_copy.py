"""A consistent copy of an SQLite database, without opening it.

Opening one is no mere read: a connection makes or removes files beside a database with a
write-ahead log, folds that log into it when it is the last to close, and rolls a crashed writer's
journal back (https://sqlite.org/wal.html, https://sqlite.org/lockingv3.html#hot_journals). So the
file and what lies beside it are copied, and SQLite recovers the copy.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final, TypeAlias

from packager.errors import RegistryUnavailableError, StorageError

_WAITS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between attempts, where somebody writes meanwhile."""
_LOG_HEADER: Final = 32
"""Bytes, with the salts that change when a log begins anew: https://sqlite.org/fileformat2.html."""
_FILE_HEADER: Final = 100
_State: TypeAlias = tuple[object, ...]


def copy_database(source: Path, target: Path) -> None:
    """Copy `source` to `target` as of one commit; nothing beside `source` is made or changed.

    The write-ahead log is copied after the file: as long as it is the same log, it holds every
    page that a checkpoint may have written meanwhile. Raises RegistryUnavailableError where the
    file cannot be read, or is written to all the time; StorageError where the disk is full.
    """
    # beside the file that a link leads to, as SQLite looks for them
    source = source.resolve()
    for wait in (*_WAITS, None):
        before = _read_state(source)
        _copy_files(source, target)
        if _read_state(source) == before:
            return
        if wait is not None:
            time.sleep(wait)
    raise RegistryUnavailableError(
        f"{source} is being written to all the time, so that no whole copy of it can be read.\n"
        "Try again when that is done, or read it through its tracking server: --tracking-uri."
    )


def _copy_files(source: Path, target: Path) -> None:
    for suffix in ("", "-journal", "-wal"):
        beside, copy = (
            source.with_name(source.name + suffix),
            target.with_name(target.name + suffix),
        )
        copy.unlink(missing_ok=True)
        try:
            shutil.copyfile(beside, copy)
        except FileNotFoundError:
            # no log is the usual case; a log that is gone by now makes another state
            continue
        except OSError as error:
            if str(error.filename) == str(beside):
                raise RegistryUnavailableError(
                    f"{beside} cannot be read: {error.strerror}."
                ) from error
            raise StorageError(
                f"A copy of {beside} cannot be written to {target.parent}: {error.strerror}.\n"
                "Free some space, or set TMPDIR to a folder on a larger disk."
            ) from error


def _read_state(source: Path) -> _State:
    """Read what changes whenever a copy of the files could be of two commits."""
    return (
        _read_stamp(source, _FILE_HEADER),
        _read_stamp(source.with_name(source.name + "-journal"), _LOG_HEADER),
        # it may grow: what is appended is whole, or is not read
        _read_head(source.with_name(source.name + "-wal"), _LOG_HEADER),
    )


def _read_stamp(path: Path, length: int) -> _State | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, _read_head(path, length))


def _read_head(path: Path, length: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(length)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RegistryUnavailableError(f"{path} cannot be read: {error.strerror}.") from error
