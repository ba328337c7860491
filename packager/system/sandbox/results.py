"""Read what a confined program left behind: its author may have left something else."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from packager.errors import SandboxError

_LARGEST_BYTES: Final = 4 << 30


def check_plain(path: Path) -> None:
    """Raises SandboxError where a confined program left something else than a plain file."""
    try:
        about = path.lstat()
    except OSError as error:
        raise SandboxError(f"The model's process left no {path.name}: {error.strerror}.") from error
    if not stat.S_ISREG(about.st_mode):
        raise SandboxError(f"The model's process left {path.name}, which is not a plain file.")


def read_result(path: Path) -> str:
    """The text of a file that a confined program wrote.

    Raises SandboxError as `read_bytes` does.
    """
    return read_bytes(path, _LARGEST_BYTES).decode("utf-8", errors="replace")


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """The contents of a file that a confined program wrote.

    Raises SandboxError where it is not there, is larger, or is no plain file: a link would have us
    read what the program could not.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxError(f"The model's process left no {path.name}: {error.strerror}.") from error
    with ExitStack() as opened:
        opened.callback(os.close, fd)
        about = os.fstat(fd)  # before it is opened as a file, which a folder cannot be
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise SandboxError(f"The model's process left {path.name}, which is not a plain file.")
        if about.st_size > most_bytes:
            raise SandboxError(f"The model's process left {path.name} of {about.st_size:,} bytes.")
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(most_bytes)
