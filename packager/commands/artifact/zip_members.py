"""The first difference of two zips, in words."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final

_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError, OSError),
    *(EOFError, LookupError, NotImplementedError, RuntimeError, ValueError),
)
"""What zipfile raises for a zip that is damaged, locked, or made by another method."""


def find_member(before: Path, after: Path, when: str) -> str:
    """Say which member of two zips differs first; `when` is when the second one is as it is."""
    try:
        with zipfile.ZipFile(before) as one, zipfile.ZipFile(after) as other:
            mine, theirs = ({each.filename: each for each in z.infolist()} for z in (one, other))
            for name in sorted(mine.keys() | theirs.keys()):
                if name not in theirs:
                    return f"{name} is not in it when {when}."
                if name not in mine:
                    return f"{name} is in it when {when}."
                sizes = mine[name].file_size, theirs[name].file_size
                if len({*sizes}) > 1 or one.read(name) != other.read(name):
                    return f"its first file that differs is {name}."
    except _DAMAGED as error:
        return f"it cannot be read ({error})."
    return "its files are the same, and are packed in another way."
