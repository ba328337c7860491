"""Pickles in files of any name, compressed or not: known by what they begin with."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from packager.models.pickles.pickle_names import (
    OLD_START,
    PROTOCOLS,
    ZLIB,
    PickleNames,
    read_pickle,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_DAMAGED: Final = (zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What zipfile raises of an archive: of another form, encrypted, or with a digest that is wrong."""
BROKEN: Final = (
    *(OSError, ValueError, EOFError, IndexError, KeyError, lzma.LZMAError, zlib.error),
    *_DAMAGED,
)
"""What reading raises of a file that is cut off, or is no pickle."""
_SUFFIXES: Final = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"})
_CHUNK_BYTES: Final = 1 << 20
_PACKED_BYTES: Final = 1 << 14
_OVERLAP_BYTES: Final = 1 << 10
_MOST_OPCODES: Final = 3_000_000
"""Of a pickle that is read opcode by opcode: some seconds."""
_MOST_BYTES: Final = 500_000_000
"""Of what is searched for names: some seconds."""
_GLOBAL: Final = re.compile(
    rb"\x8c([\x01-\xff])([A-Za-z_][\w.]{0,254})\x94?(?:\x95.{8})?"
    rb"(?:\x8c.\w{1,255}\x94?|h.|j.{4})(?:\x95.{8})?\x93",
    re.DOTALL,
)
"""A module and a name in it, as pickle writes them from protocol 4 on."""
_OLD_GLOBAL: Final = re.compile(rb"c([A-Za-z_][\w.]*)\Z")
"""The same before: `c`, the module, a line end, the name, a line end."""
_IDENTIFIER: Final = re.compile(rb"[A-Za-z_]\w*")
_NAME_BYTES: Final = 255
_HEAD_BYTES: Final = 600
_MOST_DESCRIPTION: Final = 1 << 20
"""Of an array's type and shape, which numpy writes in a hundred bytes."""


class _ZlibFile(io.RawIOBase):
    """File that zlib compressed, as joblib writes one by default; it is read forwards alone."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._stream = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while not self._stream.eof:
            packed = self._stream.unconsumed_tail or self._file.read(_PACKED_BYTES)
            if part := self._stream.decompress(packed, len(view)):
                view[: len(part)] = part
                return len(part)
            if not packed:
                break
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_zlib(path: Path) -> io.BufferedReader:
    return io.BufferedReader(_ZlibFile(path), _CHUNK_BYTES)


class _ZipPickles(io.RawIOBase):
    """The pickles of an archive, one after the other; it is read forwards alone."""

    def __init__(self, archive: zipfile.ZipFile, names: Iterable[str]) -> None:
        self._archive = archive
        self._files = (archive.open(name) for name in names)
        self._file = next(self._files, None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while self._file is not None:
            if part := self._file.read(len(view)):
                view[: len(part)] = part
                return len(part)
            self._file.close()
            self._file = next(self._files, None)
        return 0

    def close(self) -> None:
        self._archive.close()
        super().close()


def _open_zip(path: Path) -> IO[bytes]:
    """Open the pickles in an archive, as torch writes some. Raises ValueError for none."""
    try:
        archive = zipfile.ZipFile(path)
        if names := [name for name in archive.namelist() if name.endswith(".pkl")]:
            return io.BufferedReader(_ZipPickles(archive, names), _CHUNK_BYTES)
    except _DAMAGED as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    archive.close()
    raise ValueError(f"{path.name} holds no pickle")


def _open_array(path: Path) -> IO[bytes]:
    """Open the pickle of an array of objects. Raises ValueError for an array of numbers."""
    with path.open("rb") as file:
        head = file.read(12)
        size, start = (head[8:10], 10) if head[6:7] == b"\x01" else (head[8:12], 12)
        file.seek(start)
        description = file.read(min(int.from_bytes(size, "little"), _MOST_DESCRIPTION))
    if b"|O" not in description:
        raise ValueError(f"{path.name} is an array of numbers")
    file = path.open("rb")
    file.seek(start + int.from_bytes(size, "little"))
    return file


_OPENERS: Final[tuple[tuple[bytes, Callable[[Path], object]], ...]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
    *((head, _open_zlib) for head in ZLIB),
    (b"PK\x03\x04", _open_zip),
    (b"\x93NUMPY", _open_array),
)
"""First bytes of a compressed file, as joblib and MLflow write one, and of what holds a pickle."""
_CODECS: Final = ((b"\x04\x22\x4d\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstandard"))
"""First bytes of files that only a module of this name decompresses."""


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file for reading what was compressed. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(6)
    opener = next((each for magic, each in _OPENERS if head.startswith(magic)), None)
    return cast("IO[bytes]", opener(path)) if opener else path.open("rb")


def is_pickle(path: Path) -> bool:
    """Tell a pickle by its suffix, or by what it begins with once it is decompressed."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with open_unpacked(path) as file:
            head = file.read(_HEAD_BYTES)
    except BROKEN:
        return False
    return head[:2] in PROTOCOLS or bool(OLD_START.match(head)) or _name_codec(head) is not None


def has_pickle_suffix(path: Path) -> bool:
    """True for `model.pkl`, and `model.pkl.lz4`."""
    return not _SUFFIXES.isdisjoint(suffix.lower() for suffix in path.suffixes)


def find_codec(path: Path) -> str:
    """The module that alone decompresses a file; empty for what is read without one."""
    with path.open("rb") as file:
        return _name_codec(file.read(4)) or ""


def _name_codec(head: bytes) -> str | None:
    return next((module for magic, module in _CODECS if head.startswith(magic)), None)


def read_names(path: Path) -> tuple[PickleNames, bool]:
    """Names in a pickle, and whether all of it was read.

    Of what cannot be read to its end (joblib puts arrays between, a file may hold several
    pickles) the globals are searched for.
    """
    names = PickleNames()
    try:
        with open_unpacked(path) as file:
            read_pickle(file, names, most=_MOST_OPCODES)
            if not file.read(1):
                if names.has_long:
                    names.inner.update(_search_modules(path))
                return names, True
    except BROKEN:
        pass  # what follows finds what it can; or loading says what is wrong with it
    names.is_open = False  # what is read of an array's bytes is no opcode
    names.globals.update(f"{module}.?" for module in _search_modules(path))
    return names, False


def _search_modules(path: Path) -> Iterator[str]:
    try:
        with open_unpacked(path) as file:
            rest, left = b"", _MOST_BYTES
            while left > 0 and (part := file.read(_CHUNK_BYTES)):
                left -= len(part)
                chunk = rest + part
                yield from _find_modules(chunk)
                rest = chunk[-_OVERLAP_BYTES:]
    except BROKEN:
        return


def _find_modules(chunk: bytes) -> Iterator[str]:
    for match in _GLOBAL.finditer(chunk):
        length, name = match.groups()
        if len(name) == length[0]:
            yield name.decode("ascii")
    for line, after in itertools.pairwise(chunk.split(b"\n")):
        is_name = len(after) <= _NAME_BYTES and _IDENTIFIER.fullmatch(after)
        if is_name and (old := _OLD_GLOBAL.search(line[-_NAME_BYTES - 1 :])):
            yield old[1].decode("ascii")
