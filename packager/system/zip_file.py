"""A zip of a tree: the same tree gives the same bytes, and fewer of them than zlib makes.

The standard library's writer compresses with zlib alone, a file after the other, and takes no data
that is compressed already. Here libdeflate compresses, several files at a time. The format:
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, without ZIP64.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Container, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import deflate

from packager.system import cache
from packager.system.file_tree import walk

_LOG = logging.getLogger(__name__)

_LEVEL: Final = 10
"""2.7 % smaller than zlib's 6 in 2.5 times its CPU; 12 gives 0.1 % more for as much again."""
_DATE: Final = 1 << 5 | 1
"""The first of January 1980, the earliest that a zip can state; its time is 0."""
_UNIX: Final = 3 << 8
_VERSION: Final = 20
_UTF8: Final = 1 << 11
_STORED, _DEFLATED = 0, 8
_MODE_FILE: Final = 0o100644
_MODE_EXECUTABLE: Final = 0o100755
_COMMON: Final = "HHHHHLLLHH"
_LOCAL: Final = struct.Struct(f"<4s{_COMMON}")
_CENTRAL: Final = struct.Struct(f"<4sH{_COMMON}HHHLL")
_END: Final = struct.Struct("<4s4H2LH")
_MOST_FILES: Final = 0xFFFF
_MOST_BYTES: Final = 0xFFFFFFFF
_KEPT_BYTES: Final = 1 << 16
"""Files from this size on are compressed once for all builds: libraries above all."""
_SAMPLE_BYTES: Final = 1 << 18
_AHEAD: Final = 16
"""Files that may wait, compressed, for the one before them."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: bytes
    mode: int
    size: int
    crc: int
    method: int
    data: bytes | bytearray

    @property
    def fields(self) -> tuple[int, ...]:
        """Fields that the entry's two headers have in common."""
        flags = 0 if self.name.isascii() else _UTF8
        sizes = (self.crc, len(self.data), self.size)
        return (_VERSION, flags, self.method, 0, _DATE, *sizes, len(self.name), 0)


def write_zip(root: Path, out: Path, changing: Container[str] = ()) -> Path:
    """Pack the tree sorted, with fixed times and modes, and read it back.

    Large files are compressed once for all builds, but for those below the folders `changing`.

    Raises OSError for more than 65,535 files or 4 GiB, and where what was written does not read.
    """
    central: list[bytes] = []
    with out.open("wb") as file:
        for entry in _entries(root, changing):
            at = file.tell()
            if at + len(entry.data) > _MOST_BYTES or len(central) == _MOST_FILES:
                raise OSError(f"a zip of more than {_MOST_FILES:,} files or 4 GiB")
            head = _CENTRAL.pack(
                b"PK\1\2", _UNIX | _VERSION, *entry.fields, 0, 0, 0, entry.mode << 16, at
            )
            central.append(head + entry.name)
            file.write(_LOCAL.pack(b"PK\3\4", *entry.fields) + entry.name)
            file.write(entry.data)
        start = file.tell()
        listed = b"".join(central)
        count = len(central)
        end = _END.pack(b"PK\5\6", 0, 0, count, count, len(listed), start, 0)
        file.write(listed + end)
    if (broken := _unreadable(out)) is not None:
        raise OSError(f"{broken} does not read back from the zip")
    return out


def _unreadable(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        try:
            return archive.testzip()
        except zlib.error as error:
            return str(error)


def _entries(root: Path, changing: Container[str]) -> Iterator[_Entry]:
    """In the tree's order, compressed ahead of it."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: list[Future[_Entry]] = []
        files = [*walk(root)]
        for number, relative in enumerate(files, 1):
            _LOG.info("Packing file %d of %d", number, len(files), extra={"counted": True})
            is_kept = relative.parts[0] not in changing
            waiting.append(pool.submit(_entry, root, relative, is_kept=is_kept))
            if len(waiting) > _AHEAD:
                yield waiting.pop(0).result()
        for each in waiting:
            yield each.result()


def _entry(root: Path, relative: Path, *, is_kept: bool) -> _Entry:
    path = root / relative
    stat = path.stat()
    mode = _MODE_EXECUTABLE if stat.st_mode & 0o100 else _MODE_FILE
    name = relative.as_posix().encode()
    if stat.st_size == 0:
        return _Entry(name, mode, 0, 0, _STORED, b"")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        data = b"" if _is_compressed(content) else _deflate(content, is_kept=is_kept)
        shorter = 0 < len(data) < len(content)
        method = _DEFLATED if shorter else _STORED
        return _Entry(
            name, mode, len(content), zlib.crc32(content), method, data if shorter else content[:]
        )


def _deflate(content: mmap.mmap, *, is_kept: bool) -> bytes | bytearray:
    if len(content) < _KEPT_BYTES or not is_kept:
        return deflate.deflate_compress(content, _LEVEL)
    key = cache.make_key([version("deflate"), _LEVEL], content)
    return cache.remember("deflated", key, lambda: bytes(deflate.deflate_compress(content, _LEVEL)))


def _is_compressed(content: mmap.mmap) -> bool:
    """Tell whether nothing is to be gained: none of three samples gets 1 % smaller."""
    if len(content) < 8 * _SAMPLE_BYTES:
        return False
    starts = (_SAMPLE_BYTES, len(content) // 2, len(content) - 2 * _SAMPLE_BYTES)
    samples = (content[start : start + _SAMPLE_BYTES] for start in starts)
    return all(len(deflate.deflate_compress(each, 1)) > 0.99 * len(each) for each in samples)
