"""An output folder that is whole or not there: made beside its final place, then renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.errors import (
    ConfigurationError,
    StorageError,
    describe_full_disk,
    is_disk_full,
)
from packager.system.scratch import make_scratch, remove_tree

_SHOWN: Final = 5
MARKER: Final = "report.json"
"""The file by which a folder is known as one of ours, which a new build may replace."""
_MOST_NAME: Final = 200
"""Bytes of a partial folder's own part of its name: file systems take 255 in all."""
_OF_PLACE: Final = {
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.EBUSY, errno.EINVAL),
    *(errno.EXDEV, errno.ENOTEMPTY),
}
"""What is wrong with the place that was named, and not with the disk."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for a build: `out` becomes the output, everything else goes away."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    def stage(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        return folder

    def take(self, folder: Path) -> None:
        """Make a folder of this place the output."""
        remove_tree(self.out)
        folder.rename(self.out)

    def drop_output(self) -> None:
        """Make no output: what the output folder holds already stays as it is."""
        remove_tree(self.out)


@contextlib.contextmanager
def replacing(final: Path) -> Iterator[Place]:
    """Yield a partial folder beside `final`; on success it takes its place, else it goes away.

    Raises ConfigurationError where `final` holds anything that we did not make, StorageError where
    the disk is full or the parent cannot be written. `final` is untouched by a failure, and folders
    that were made on the way to it go away again.
    """
    final = final.absolute()
    refuse_foreign(final)
    with _making_parents(final), _replacing(final) as place:
        yield place


@contextlib.contextmanager
def _making_parents(final: Path) -> Iterator[None]:
    """Have the folders above `final`; those that were made go away where nothing came into them."""
    made = [each for each in final.parents if not each.exists()]
    try:
        with _disk_errors(final.parent):
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:  # as below /proc
                raise StorageError(
                    f"{error.filename or final.parent} cannot be made: {error.strerror}. Name a "
                    "folder on a file system that takes new ones, with --out."
                ) from error
        yield
    finally:
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()


@contextlib.contextmanager
def _replacing(final: Path) -> Iterator[Place]:
    with _disk_errors(final.parent):
        _sweep_leftovers(final)
        root = final.parent / f".{_shorten(final.name)}.partial-{os.getpid()}"
        root.mkdir()
    place = Place(root)
    try:
        with _disk_errors(final.parent):
            place.out.mkdir()
            yield place
            if place.out.exists():
                _swap_folders(place.out, final)
    finally:
        remove_tree(root)


@contextlib.contextmanager
def scratch() -> Iterator[Place]:
    """A place of which nothing stays."""
    with _disk_errors(Path(tempfile.gettempdir())), make_scratch("build") as root:
        yield Place(root)


def replace_file(path: Path, body: bytes, mode: int = 0o644) -> None:
    """Write one file that nobody ever sees half written. A link of that name is not followed.

    Raises OSError, and leaves what was there.
    """
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    partial = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_writable(final: Path) -> None:
    """Raises StorageError where `final` cannot be made, as `replacing` does; nothing is made."""
    with _disk_errors(final.parent):
        parent = next(each for each in final.absolute().parents if each.exists())
        if not parent.is_dir():
            raise ConfigurationError(f"{parent} is not a folder; name another with --out.")
        if os.statvfs(parent).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(parent))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(parent))


def refuse_foreign(final: Path) -> None:
    """Raises ConfigurationError where `final` holds anything that no build made."""
    try:
        foreign = final.is_symlink() or (final.exists() and not final.is_dir())
        held = final.is_dir() and any(final.iterdir()) and not (final / MARKER).is_file()
    except OSError as error:
        raise StorageError(f"{final} cannot be read: {error.strerror}.") from error
    if foreign:
        raise ConfigurationError(f"{final} is not a folder; name another with --out.")
    if held:
        if others := sorted(path.parent.name for path in final.glob(f"*/{MARKER}")):
            raise ConfigurationError(
                f"{final} holds other artifacts ({', '.join(others[:_SHOWN])}). They stay: name a "
                f"folder for this one with --out, for example --out {final.name}/NAME."
            )
        raise ConfigurationError(
            f"{final} holds files that no build made (there is no {MARKER}). They stay: "
            "name another folder with --out."
        )


def _swap_folders(new: Path, final: Path) -> None:
    """Put `new` where `final` is; an earlier artifact is dropped only after the new one stands."""
    old = new.parent / "replaced"
    if final.exists():
        final.rename(old)
    try:
        new.rename(final)
    except OSError:
        if old.exists():
            old.rename(final)
        raise


def _sweep_leftovers(final: Path) -> None:
    """Remove what a build that was killed left beside `final`; one that still runs is let be."""
    for left in final.parent.glob(f".{glob.escape(_shorten(final.name))}.partial-*"):
        process = left.name.rpartition("-")[2]
        if process.isdigit() and int(process) != os.getpid() and not _is_alive(int(process)):
            remove_tree(left)


def _shorten(name: str) -> str:
    """The start of a name, so that more can be added to it."""
    return os.fsencode(name)[:_MOST_NAME].decode("utf-8", "ignore")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(
                f"{describe_full_disk(error, where)}. Nothing was left behind; free space, "
                "or set TMPDIR, PACKAGER_CACHE and --out to a larger disk."
            ) from error
        if isinstance(error, PermissionError) or error.errno in {errno.EROFS, errno.EIO}:
            raise StorageError(
                f"{error.filename or where} cannot be read or written: {error.strerror}.\n"
                "Is it another user's? Name another folder, or ask for the right to it."
            ) from error
        if error.errno in _OF_PLACE and str(error.filename or "").startswith(str(where)):
            raise ConfigurationError(
                f"{where} cannot take the output: {error.strerror}. Name another folder with --out."
            ) from error
        raise
