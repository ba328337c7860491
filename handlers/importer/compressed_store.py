"""The compressed part of an artifact: read in blocks, unpacked below /tmp where a file must be.

    8 bytes       MAGIC
    blocks        each of them xz, with xz's own checksum
    table         JSON as xz: where each file lies in a block, and what must be unpacked with it
    16 bytes      the table's offset and length

Loaded on the first miss, not before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import os
import stat
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock, get_ident
from typing import Any

from handlers.importer.bytecode_importer import COLD_FILE, DamagedStoreError

MAGIC = b"coldst\0\1"
FOOTER = struct.Struct("<QQ")
_BLOCKS_HELD = 4
_BLOCK_BYTES = 1024 * 1024
_AGAIN = "Deploy the artifact again."


class NoRoomError(ImportError):
    """A file asked for must be unpacked below /tmp, and cannot be."""


class CompressedStore:
    """Safe to use from many threads, and from many processes that share /tmp."""

    def __init__(self, root: str, path: str) -> None:
        """`root` is the function's folder. Raises DamagedStoreError."""
        self._root = root
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DamagedStoreError(f"{COLD_FILE} is not there. {_AGAIN}") from None
        try:
            table = self._table()
            self._blocks: list[list[int]] = table["blocks"]
            self.files: dict[str, list[int]] = table["files"]
            """Path to block, offset in it, and length."""
            self._digests: dict[str, str] = table["digests"]
            self._needs: dict[str, list[str]] = table["needs"]
            """A library to those that it is linked to."""
            self.trees: dict[str, list[str]] = table["trees"]
            """A package's `__init__.py` to all files of it."""
            for needs in (self.files, *self._needs.values()):
                _check_paths(needs)
        except (lzma.LZMAError, OSError, ValueError, KeyError, TypeError, struct.error) as error:
            os.close(self._file)
            raise DamagedStoreError(f"{COLD_FILE} is damaged: {error}. {_AGAIN}") from error
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._placed: set[str] = set()
        self._folder: str | None = None
        self._lock = Lock()

    def _table(self) -> Any:
        end = os.fstat(self._file).st_size - FOOTER.size
        if end < len(MAGIC) or os.pread(self._file, len(MAGIC), 0) != MAGIC:
            raise ValueError("it does not start as one")
        offset, length = FOOTER.unpack(os.pread(self._file, FOOTER.size, end))
        if offset + length != end:
            raise ValueError("it was cut short")
        data = os.pread(self._file, length, offset)
        self.key = hashlib.sha256(data).hexdigest()[:16]
        return json.loads(lzma.decompress(data))

    def read(self, path: str) -> bytes | None:
        """One file; None where the store has none of that name. Raises DamagedStoreError."""
        place = self.files.get(path)
        if place is None:
            return None
        number, offset, length = place
        with self._lock:
            block = self._held.pop(number, None)
            if block is None:
                block = self._decompress_block(number)
            self._held[number] = block
            while len(self._held) > _BLOCKS_HELD:
                self._held.popitem(last=False)
        if len(block) < offset + length:
            raise DamagedStoreError(f"{COLD_FILE} is damaged at {path}. {_AGAIN}")
        return block[offset : offset + length]

    def _decompress_block(self, number: int) -> bytes:
        try:
            offset, length, size = self._blocks[number]
            reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
            block = reader.decompress(os.pread(self._file, length, offset), size)
        except (lzma.LZMAError, IndexError, ValueError) as error:
            msg = f"Block {number} of {COLD_FILE} is damaged: {error}. {_AGAIN}"
            raise DamagedStoreError(msg) from error
        if len(block) != size:
            raise DamagedStoreError(f"Block {number} of {COLD_FILE} was cut short. {_AGAIN}")
        return block

    def unpack_file(self, path: str) -> str:
        """A file's place below /tmp, with the libraries beside it that it is linked to.

        Raises NoRoomError, DamagedStoreError.
        """
        return self._unpack([path], path)

    def unpack_tree(self, path: str) -> str:
        """The place of a package's `__init__.py`, unpacked with all that belongs to the package."""
        return self._unpack(self.trees[path], path)

    def _unpack(self, paths: list[str], wanted: str) -> str:
        needed = [need for path in paths for need in self._needs.get(path, ())]
        try:
            folder = self._own_folder()
            for path in dict.fromkeys((*needed, *paths)):
                if path in self._placed:
                    continue
                if path in self.files:
                    self._place(path, f"{folder}/{path}")
                else:
                    self._link(path, f"{folder}/{path}")
                self._placed.add(path)
        except OSError as error:
            total = sum(self.files[path][2] for path in paths if path in self.files)
            msg = (
                f"{wanted} cannot be unpacked from the compressed store ({total:,} bytes) below "
                f"{tempfile.gettempdir()}: {error.strerror}. Give the function more ephemeral "
                f"storage, or build with --keep '{wanted}'."
            )
            raise NoRoomError(msg) from error
        return f"{folder}/{wanted}"

    def _own_folder(self) -> str:
        """A folder that is ours alone: one that another user made is not used."""
        with self._lock:
            if self._folder is None:
                folder = f"{tempfile.gettempdir()}/cold-store-{self.key}-{os.getuid()}"
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o700)  # noqa: PTH102 - beside lstat and open below
                found = os.lstat(folder)
                ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
                if not ours or found.st_mode & 0o077:
                    folder = tempfile.mkdtemp(prefix="cold-store-")
                self._folder = folder
            return self._folder

    def _place(self, path: str, target: str) -> None:
        expected = self._digests.get(path) or hashlib.sha256(self.read(path) or b"").hexdigest()
        with contextlib.suppress(FileNotFoundError), Path(target).open("rb") as there:
            digest = hashlib.sha256()
            while block := there.read(_BLOCK_BYTES):
                digest.update(block)
            if digest.hexdigest() == expected:
                return
        data = self.read(path) or b""
        if hashlib.sha256(data).hexdigest() != expected:
            raise DamagedStoreError(f"{path} in {COLD_FILE} is not what was built. {_AGAIN}")
        made = Path(f"{target}.{os.getpid()}.{get_ident()}")
        made.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(
                os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as file:
                file.write(data)
            made.rename(target)
        except OSError:
            made.unlink(missing_ok=True)
            raise

    def _link(self, path: str, target: str) -> None:
        """Link what lies in the function's folder to where the unpacked file looks for it."""
        link = Path(target)
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = f"{self._root}/{path}"
        if link.is_symlink() and os.readlink(link) == source:
            return
        made = Path(f"{target}.{os.getpid()}.{get_ident()}")
        made.symlink_to(source)
        made.rename(link)


def _check_paths(paths: Iterable[str]) -> None:
    """Raises ValueError where one could lead out of the folder that it is joined to."""
    for path in paths:
        if not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ValueError(path)
