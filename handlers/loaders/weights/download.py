"""Fetch files in ranges, several at once; a file appears whole and checked, or not at all.

What a start had fetched when it was ended is kept: on Lambda /tmp outlives a start that ran past
its time (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html), so that the
next one goes on there.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import Protocol

from handlers.loaders.weights import Weight, WeightsError, describe

_LOG = logging.getLogger(__name__)
_PART_BYTES = 8 << 20
_BUFFER_BYTES = 256 << 10
_THREADS = 8
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.2
_MIB = 1 << 20
SPARE_BYTES = 128 * _MIB
"""Of /tmp, beside the weights: the model's small files, and what its code writes."""
STEP_MB = 64
"""The template's sizes of /tmp are its multiples."""
_LEAST_MB = 512
"""Size of /tmp that nobody needs to ask for."""


class TransientError(Exception):
    """A range did not come, and may come when it is asked for again."""


class Range(Protocol):
    """The bytes of a range as they come."""

    whole_bytes: int
    """Of the whole object that it is of."""

    def readinto(self, buffer: memoryview) -> int:
        """Return how many bytes were read; 0 at the end. Raises TransientError."""
        ...


class Connection(Protocol):
    def open(self, name: str, first: int, last: int) -> Range:
        """Ask for the bytes from `first` to `last`. Raises TransientError, WeightsError."""
        ...

    def close(self) -> None:
        """Close it; `open` opens it again."""
        ...


class Store(Protocol):
    """The place that files are fetched from."""

    def connect(self) -> Connection:
        """Return a connection for one thread. Raises WeightsError."""
        ...

    def describe(self, name: str) -> str:
        """The address of a file, for people."""
        ...


class _Fetch:
    """One file that is being fetched, and which parts of it are there."""

    def __init__(self, weight: Weight, folder: Path) -> None:
        self.weight = weight
        self.final = folder / weight.sha256
        self.part = folder / f"{weight.sha256}.part"
        self.done = folder / f"{weight.sha256}.done"
        self.count = -(-weight.size_bytes // _PART_BYTES)
        self.data = self.marks = -1

    def is_there(self) -> bool:
        """Tell whether an earlier start fetched it whole, and it still is what it was then."""
        there = self.final.is_file() and hash_file(self.final) == self.weight.sha256
        if not there:
            self.final.unlink(missing_ok=True)
        return there

    def count_missing_bytes(self) -> int:
        """Count what it still takes of the disk."""
        taken = self.part.stat().st_blocks * 512 if self.part.is_file() else 0
        return max(0, self.weight.size_bytes - taken)

    def open(self) -> list[int]:
        """Open it for writing; the numbers of its parts that are missing."""
        self.data = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o600)
        self.marks = os.open(self.done, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self.data, self.weight.size_bytes)
        os.ftruncate(self.marks, self.count)
        marked = os.pread(self.marks, self.count, 0)
        return [part for part in range(self.count) if marked[part] != 1]

    def close(self) -> None:
        for handle in (self.data, self.marks):
            if handle >= 0:
                os.close(handle)
        self.data = self.marks = -1

    def forget(self) -> None:
        """Remove what was fetched."""
        self.part.unlink(missing_ok=True)
        self.done.unlink(missing_ok=True)

    def finish(self, address: str) -> None:
        """Give it its name, once its bytes are known. Raises WeightsError where they are others."""
        found = hash_file(self.part)
        if found != self.weight.sha256:
            self.forget()
            msg = (
                f"{address} has sha256 {found}, and this function was proven with "
                f"{self.weight.sha256} ({self.weight.path}). It was not used. Put the artifact's "
                "own weights there with `packager push-weights`."
            )
            raise WeightsError(msg)
        self.part.replace(self.final)
        self.done.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    total, buffer = hashlib.sha256(), memoryview(bytearray(_MIB))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total.update(buffer[:count])
    return total.hexdigest()


def fetch_all(weights: tuple[Weight, ...], store: Store, folder: Path) -> dict[str, Path]:
    """Fetch what is not there yet; the files by their sha256.

    Raises WeightsError where one cannot be had whole, or there is no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # several processes may share /tmp
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = {weight.sha256: weight for weight in weights}
        fetches = [_Fetch(weight, folder) for weight in wanted.values()]
        missing = [each for each in fetches if not each.is_there()]
        if missing:
            _check_room(missing, folder)
            _fetch_missing(missing, store, folder)
        return {each.weight.sha256: each.final for each in fetches}
    finally:
        os.close(lock)


def _check_room(missing: list[_Fetch], folder: Path) -> None:
    """Raises WeightsError."""
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    needed = sum(each.count_missing_bytes() for each in missing)
    if free < needed:
        raise WeightsError(_explain_room(folder, needed, free))


def _explain_room(folder: Path, needed: int, free: int) -> str:
    there = sum(path.stat().st_blocks * 512 for path in folder.iterdir() if path.is_file())
    whole = there + needed
    return (
        f"{folder.parent} has {free / _MIB:,.0f} MB free, and the weights take "
        f"{needed / _MIB:,.0f} MB more. Deploy with EphemeralStorageMb="
        f"{max(_LEAST_MB, STEP_MB * -(-(whole + SPARE_BYTES) // (STEP_MB * _MIB)))} or more."
    )


def _fetch_missing(missing: list[_Fetch], store: Store, folder: Path) -> None:
    begun = time.perf_counter()
    try:
        todo = [(each, part) for each in missing for part in each.open()]
        size = len(todo) * _PART_BYTES
        _Crew(todo, store).work()
        for each in missing:
            each.finish(store.describe(each.weight.sha256))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        needed = sum(each.count_missing_bytes() for each in missing)
        raise WeightsError(_explain_room(folder, needed, 0)) from error
    finally:
        for each in missing:
            each.close()
    seconds = time.perf_counter() - begun
    weights = tuple(each.weight for each in missing)
    size = min(size, sum(weight.size_bytes for weight in weights))
    _LOG.info(
        "Fetched weights: %s, %.2f s, %.0f MB/s", describe(weights), seconds, size / 1e6 / seconds
    )


class _Crew:
    """Threads that fetch the parts of a list; the first that fails ends the others."""

    def __init__(self, todo: list[tuple[_Fetch, int]], store: Store) -> None:
        self._todo = todo[::-1]
        self._store = store
        self._failure: BaseException | None = None

    def work(self) -> None:
        """Fetch all of them. Raises what the first that failed raised."""
        crew = [
            threading.Thread(target=self._fetch_parts, daemon=True)
            for _ in range(min(_THREADS, len(self._todo)))
        ]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _fetch_parts(self) -> None:
        connection = None
        try:
            connection = self._store.connect()
            buffer = memoryview(bytearray(_BUFFER_BYTES))
            while self._failure is None:
                try:
                    fetch, part = self._todo.pop()
                except IndexError:
                    return
                self._fetch_part(connection, fetch, part, buffer)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._failure = self._failure or error
        finally:
            if connection is not None:
                connection.close()

    def _fetch_part(
        self, connection: Connection, fetch: _Fetch, part: int, buffer: memoryview
    ) -> None:
        """Fetch one part, and mark it. Raises WeightsError once it failed often enough."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._read_part(connection, fetch, part, buffer)
            except TransientError as error:
                connection.close()  # an answer may be half read
                if attempt == _ATTEMPTS or self._failure is not None:
                    address = self._store.describe(fetch.weight.sha256)
                    msg = (
                        f"{address} could not be read: {error}. It was tried {attempt} times. "
                        "What was fetched is kept for the next start."
                    )
                    raise WeightsError(msg) from error
                time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
            else:
                os.pwrite(fetch.marks, b"\1", part)
                return

    def _read_part(
        self, connection: Connection, fetch: _Fetch, part: int, buffer: memoryview
    ) -> None:
        """Raises TransientError, or WeightsError for an object of another size."""
        name, size = fetch.weight.sha256, fetch.weight.size_bytes
        at, end = part * _PART_BYTES, min(size, (part + 1) * _PART_BYTES)
        found = connection.open(name, at, end - 1)
        if found.whole_bytes != size:
            msg = (
                f"{self._store.describe(name)} has {found.whole_bytes:,} bytes, and "
                f"{fetch.weight.path} has {size:,}: it was cut short, or is another file. Put the "
                "artifact's own weights there with `packager push-weights`."
            )
            raise WeightsError(msg)
        while at < end:
            count = found.readinto(buffer[: end - at])
            if not count:
                msg = f"it ended {end - at:,} bytes early"
                raise TransientError(msg)
            os.pwrite(fetch.data, buffer[:count], at)
            at += count
