"""Files of a model in which pandas' text lies in pyarrow, and the same files without pyarrow."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from packager.models.pickles.pandas_text import rewrite_text
from packager.models.pickles.pickle_files import BROKEN, open_unpacked
from packager.models.pickles.pickle_names import OLD_START, PROTOCOLS, ZLIB
from packager.types import RewrittenFile

ARROW_BYTES: Final = b"pyarrow"
"""What every pickle of text that is kept in pyarrow names."""
LIBRARY_BYTES: Final = b"pyarrow.lib"
"""What every pickle of an array of pyarrow's names."""
_MOST_BYTES: Final = 1 << 30
"""Of a file once it is decompressed."""
_CHUNK_BYTES: Final = 1 << 20
_PACKERS: Final[tuple[tuple[bytes, Callable[[bytes], bytes]], ...]] = (
    (b"\x1f\x8b", lambda data: gzip.compress(data, mtime=0)),
    (b"BZh", bz2.compress),
    (b"\xfd7zXZ", lzma.compress),
    (b"\x5d\x00\x00", lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
    *((head, zlib.compress) for head in ZLIB),
)
"""First bytes of a compressed file -> what compresses one as its reader takes it."""


def holds_bytes(path: Path, wanted: bytes) -> bool:
    """Tell a file whose bytes, decompressed, have these among them."""
    try:
        with open_unpacked(path) as file:
            rest, left = b"", _MOST_BYTES
            while left > 0 and (part := file.read(_CHUNK_BYTES)):
                left -= len(part)
                if wanted in (chunk := rest + part):
                    return True
                rest = chunk[-len(wanted) :]
    except BROKEN:
        pass  # its loader says what is wrong with it
    return False


def rewrite_file(path: Path) -> tuple[bytes, int, int]:
    """The file without pyarrow, and how many arrays and types of text are written anew in it.

    Raises ValueError, which says why as the end of a sentence.
    """
    with path.open("rb") as file:
        head = file.read(6)
    pack = next((each for magic, each in _PACKERS if head.startswith(magic)), None)
    data = _read_whole(path, is_packed=pack is not None)
    if data[:2] not in PROTOCOLS and not OLD_START.match(data):
        raise ValueError("it is no plain pickle")
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
    found = rewrite_text(data)
    return (pack(found.data) if pack else found.data), found.arrays, found.types


def _read_whole(path: Path, *, is_packed: bool) -> bytes:
    try:
        with open_unpacked(path) if is_packed else path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except BROKEN as error:
        raise ValueError(f"it cannot be read: {error}") from error


def rewrite_into(root: Path, names: Iterable[str], target: Path) -> tuple[RewrittenFile, ...]:
    """Write these files of `root` without pyarrow under `target`, by the same paths.

    One that holds no such text, and no array of pyarrow's, is left out. Raises ValueError where
    another cannot be written so, and OSError where it cannot be written.
    """
    found: list[RewrittenFile] = []
    for name in sorted(names):
        try:
            written, arrays, types = rewrite_file(root / name)
        except ValueError as error:
            if not holds_bytes(root / name, LIBRARY_BYTES):
                continue
            raise ValueError(f"{name}: {error}") from error
        if not arrays + types:
            continue
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a copy of what may not be written to may not be either
        path.write_bytes(written)
        found.append(
            RewrittenFile(
                path=PurePosixPath(name),
                arrays=arrays,
                types=types,
                logged_sha256=hashlib.sha256((root / name).read_bytes()).hexdigest(),
                sha256=hashlib.sha256(written).hexdigest(),
            )
        )
    return tuple(found)
