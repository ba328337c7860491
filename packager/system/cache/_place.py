"""Where the cache lies, and whether a folder is one: nothing is taken from any other."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packager.errors import StorageError
from packager.system.resources import find_home

_TAG_NAME: Final = "CACHEDIR.TAG"
_TAG: Final = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# A cache of packager, which `packager cache clear` empties. https://bford.info/cachedir/\n"
)
_OURS: Final = b"# A cache of packager,"
"""Other programs write files of this name too."""
_IGNORED: Final = "lost+found"
"""Lies in the top folder of a disk that holds nothing yet."""
_NAMED: Final = 3
_TAG_BYTES: Final = 1000


def root() -> Path:
    """`PACKAGER_CACHE`, else the user's cache folder (XDG base directory specification).

    Raises StorageError where neither is set and the user has no home.
    """
    if folder := os.environ.get("PACKAGER_CACHE"):
        return Path(folder).absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "serverless-model-packager"
    home = find_home()
    if home is None:
        raise StorageError(
            "There is no home folder to keep a cache in. Name a folder in PACKAGER_CACHE."
        )
    return home / ".cache" / "serverless-model-packager"


def check_place(top: Path) -> None:
    """Raise StorageError where a folder holds what is not ours, or cannot be read.

    A home folder or a project that PACKAGER_CACHE names by mistake is neither filled nor emptied:
    a folder has to be empty or to have our tag. One that is not there is fine.
    """
    with reporting_unreadable(top):
        # in this order: who makes a cache at the same time writes the tag before anything else
        names = sorted(path.name for path in top.iterdir())
        if _is_tagged(top):
            return
        found = [n for n in names if n != _IGNORED and not n.startswith(f".{_TAG_NAME}")]
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            raise StorageError(
                f"The folder {top} is not a cache of packager. It holds {', '.join(found[:_NAMED])}"
                f"{more}, and no {_TAG_NAME} of packager. Nothing in it was touched.\n"
                "Name a new or an empty folder in PACKAGER_CACHE."
            )


def claim_place(top: Path) -> None:
    """Make the folder, and mark it as a cache; other processes may do so at the same time.

    Raises OSError where it cannot be written, and what check_place raises.
    """
    top.mkdir(parents=True, exist_ok=True)
    check_place(top)
    tag = top / _TAG_NAME
    if not tag.exists():
        partial = top / f".{_TAG_NAME}.{secrets.token_hex(4)}"
        partial.write_text(_TAG, encoding="utf-8")
        partial.replace(tag)  # a link of this name is replaced, and not followed


@contextlib.contextmanager
def reporting_unreadable(top: Path) -> Iterator[None]:
    """Raise StorageError where something in the cache cannot be read; one that is gone is none."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        where = f" ({error.filename})" if str(error.filename) != str(top) else ""
        raise StorageError(
            f"The cache folder {top} cannot be read: {error.strerror}{where}.\n"
            "Make it readable, or name another folder in PACKAGER_CACHE."
        ) from error


def _is_tagged(top: Path) -> bool:
    """Raises OSError where the tag cannot be read."""
    try:
        with (top / _TAG_NAME).open("rb") as file:
            return _OURS in file.read(_TAG_BYTES)
    except FileNotFoundError:
        return False
