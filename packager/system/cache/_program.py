"""The program that fills the cache: another one may do the same work another way."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from packager.system import resources
from packager.system.file_tree import sha256, walk


@functools.cache
def digest_program() -> str:
    """Return the digest of this program's own files, and of the names of what is beside it."""
    total = hashlib.sha256(sys.version.encode())
    folders = (resources.PACKAGE, resources.handlers_root(), resources.TEMPLATES, resources.INFRA)
    for folder in folders:
        for each in walk(folder):
            if "__pycache__" not in each.parts:
                total.update(f"{each}\0{sha256(folder / each)}\n".encode())
    total.update("\n".join(sorted(_list_distributions())).encode())
    return total.hexdigest()


def _list_distributions() -> Iterator[str]:
    """List what is installed where this program imports from, by names that have the versions."""
    for folder in map(Path, filter(None, sys.path)):
        if folder.is_dir():
            yield from (
                each.name
                for each in folder.iterdir()
                if each.name.endswith((".dist-info", ".egg-info"))
            )
