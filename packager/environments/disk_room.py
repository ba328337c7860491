"""Room on the disks that a build writes to."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.errors import StorageError
from packager.system import cache

_LOG = logging.getLogger(__name__)

LEAST_FREE_BYTES: Final = 5_000_000_000
"""Room that a build of a usual model takes: its environments, the tree and the zip."""
REMEDY: Final = (
    "free space (`packager cache prune --max-size 10GB`), or set TMPDIR or PACKAGER_CACHE to a "
    "larger disk"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A place that a build writes to."""

    name: str
    path: Path | None
    """None where there is none, and `about` says why."""
    free_bytes: int | None
    device: int | None = None
    about: str = ""

    @property
    def is_enough(self) -> bool:
        return self.free_bytes is not None and self.free_bytes >= LEAST_FREE_BYTES


def list_rooms(output: Path) -> list[Room]:
    """The temporary folder, the folder that an artifact is written to, and the cache."""
    places = {"TMPDIR": Path(tempfile.gettempdir()), "output folder": output}
    missing = []
    try:
        places["cache"] = cache.root()
    except StorageError as error:
        missing = [Room(name="cache", path=None, free_bytes=None, about=str(error))]
    return [*missing, *(_measure_room(name, path) for name, path in places.items())]


def warn_of_room(output: Path) -> None:
    """Say in one line which of them have less than a usual build takes, and what to do."""
    short: dict[int | None, list[Room]] = {}
    for room in list_rooms(output):
        if room.free_bytes is not None and not room.is_enough:
            short.setdefault(room.device, []).append(room)
    if not short:
        return
    disks = "; ".join(_describe_disk(rooms) for rooms in short.values())
    _LOG.warning(
        "Little room is left: %s. A build of a usual model takes up to %d GB, and stops with exit "
        "code 9 if the disk is full: %s.",
        disks,
        LEAST_FREE_BYTES // 10**9,
        REMEDY,
    )


def _measure_room(name: str, path: Path) -> Room:
    try:
        there = next((each for each in (path, *path.parents) if each.is_dir()), Path("/"))
        free, device = shutil.disk_usage(there).free, there.stat().st_dev
    except OSError as error:
        # who writes there says what to do
        about = f"{error.filename or path}: {error.strerror}"
        return Room(name=name, path=path, free_bytes=None, about=about)
    return Room(name=name, path=path, free_bytes=free, device=device)


def _describe_disk(rooms: list[Room]) -> str:
    """Describe places that lie on one disk: what one of them takes, the others lack."""
    named = [f"{room.name} ({room.path})" for room in rooms]
    *first, last = named
    joined = f"{', '.join(first)} and {last}" if first else last
    return f"{(rooms[0].free_bytes or 0) / 1e9:.1f} GB for {joined}"
