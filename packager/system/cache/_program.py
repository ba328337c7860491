"""The program that fills the cache: another one may do the same work another way."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packager.system import resources
from packager.system.file_tree import sha256, walk

_DATA: Final = "_data"
"""Folder of the package in which a wheel has what a checkout has beside it."""


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


@functools.cache
def digest_code() -> str:
    """Return the digest of this program's own files, wherever and beside whatever it lies.

    A wheel has the templates inside of the package, a checkout beside it: both have one digest.
    """
    total = hashlib.sha256()
    folders = {
        "packager": resources.PACKAGE,
        "handlers": resources.handlers_root(),
        "templates": resources.TEMPLATES,
        "infra": resources.INFRA,
    }
    for name, folder in folders.items():
        for each in walk(folder):
            is_data = name == "packager" and each.parts[0] == _DATA
            if not is_data and not any(_is_stray(part) for part in each.parts):
                total.update(f"{name}/{each}\0{sha256(folder / each)}\n".encode())
    return total.hexdigest()


def _is_stray(name: str) -> bool:
    return name == "__pycache__" or name.startswith(".")


def _list_distributions() -> Iterator[str]:
    """List what is installed where this program imports from, by names that have the versions."""
    for folder in map(Path, filter(None, sys.path)):
        if folder.is_dir():
            yield from (
                each.name
                for each in folder.iterdir()
                if each.name.endswith((".dist-info", ".egg-info"))
            )
