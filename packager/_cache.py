"""Folders that outlive a build: environments, tools, answers. Each is whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from packager.errors import StorageError


def root() -> Path:
    """`PACKAGER_CACHE`, else the user's cache folder (XDG base directory specification)."""
    if folder := os.environ.get("PACKAGER_CACHE"):
        return Path(folder).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "serverless-model-packager"


def ensure(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The cached folder `kind/key`; `make` fills a new one, which appears only when it is whole.

    Two builds may race: the first to finish wins, the other's folder is dropped.
    """
    final = root() / kind / key
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{key[:40]}-", dir=final.parent))
    except OSError as error:
        raise StorageError(
            f"The cache folder {final.parent} cannot be written: {error}."
        ) from error
    try:
        make(partial)
        partial.chmod(0o755)
        try:
            partial.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final
