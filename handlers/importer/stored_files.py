"""Files of the compressed store are there for whoever opens, looks for or lists them by name.

The function's folder cannot be written, so a file that is asked for is unpacked below /tmp. What
Python code asks by is answered for, once the file system had no answer: `open`, `os.stat` and its
like (and with them pathlib, os.path, importlib.resources, importlib.metadata, linecache, glob).
So are libraries that ctypes or cffi load by their paths (stored_libraries.py). Other native code
that opens a path itself is not: data files of packages that are used stay in place.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import update_wrapper

from handlers.importer.bytecode_importer import CODE, COLD, TREE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from handlers.importer.bytecode_importer import Store

_GONE = (FileNotFoundError, NotADirectoryError)
_READ_ONLY = frozenset("rbtU")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_STORED = frozenset({CODE, COLD, TREE})


class Answering:
    """In a built-in function's place: not bound by a class that holds it, and pickled by name."""

    def __init__(
        self, module: str, real: Callable[..., object], answer: Callable[..., object]
    ) -> None:
        update_wrapper(self, real)
        self.__module__ = module
        self._answer = answer

    def __call__(self, *arguments: object, **named: object) -> object:
        return self._answer(*arguments, **named)

    def __reduce__(self) -> str:
        return str(vars(self)["__name__"])


class Entry:
    """As os.DirEntry."""

    def __init__(self, files: StoredFiles, folder: str, name: str, key: str) -> None:
        self.name, self.path = name, os.path.join(folder, name)  # noqa: PTH118, TID251
        self._found = files.describe(key)

    def __fspath__(self) -> str:
        return self.path

    def inode(self) -> int:
        return self._found.st_ino

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the protocol's
        return stat.S_ISDIR(self._found.st_mode)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        return stat.S_ISREG(self._found.st_mode)

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002
        return self._found


class Listing:
    """As what os.scandir gives."""

    def __init__(self, entries: list[object]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


class StoredFiles:
    """Contents of the store, by paths below the function's folder.

    The index tells of most paths that they are not in the store, so that it is not read for these.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own = os.stat(store.root)  # noqa: PTH116
        self._children: dict[str, set[str]] | None = None
        self._trees = {key for key, entry in store.modules.items() if entry[0] == TREE}
        self._files = frozenset(store.files)
        self._folders = {folder for file in store.files for folder in _folders(file)}

    def key(self, path: Any) -> str | None:
        """The stored file or folder that a path names; None for all others."""
        try:
            name = os.fsdecode(os.fspath(path))
        except (TypeError, ValueError):
            return None
        if not name:
            return None
        name = os.path.abspath(name)  # noqa: PTH100, TID251 - it follows no link
        root = self._store.root
        if not name.startswith(root + "/") and name != root:
            return None
        key = name[len(root) + 1 :]
        if not self._may_hold(key):
            return None
        return key if not key or key in self._store.cold.files or key in self.children else None

    def _may_hold(self, key: str) -> bool:
        if not key or key in self._files or key in self._folders:
            return True
        if key.partition("/")[0] in self._trees:
            return True
        folder, _, name = key.rpartition("/")
        stem = name.partition(".")[0]
        module = folder if stem == "__init__" else f"{folder}/{stem}".lstrip("/")
        entry = self._store.modules.get(module)
        return entry is not None and (entry[1] == key or module == key)

    def names_in(self, key: str) -> set[str]:
        """List what is stored in a folder; of the function's own, without reading the store."""
        if key:
            return self.children.get(key, set())
        entries = self._store.modules.values()
        paths = (entry[1] for entry in entries if entry[0] in _STORED)
        return {path.partition("/")[0] for path in (*paths, *self._files)}

    @property
    def children(self) -> dict[str, set[str]]:
        """Each folder with stored files in it to the names of what is stored there."""
        if self._children is None:
            found: dict[str, set[str]] = {}
            for file in self._store.cold.files:
                folder, _, name = file.rpartition("/")
                found.setdefault(folder, set()).add(name)
                for above in _folders(file):
                    parent, _, name = above.rpartition("/")
                    found.setdefault(parent, set()).add(name)
            self._children = found
        return self._children

    def describe(self, key: str) -> os.stat_result:
        place = self._store.cold.files.get(key)
        mode, size = (
            (stat.S_IFDIR | 0o755, 4096) if place is None else (stat.S_IFREG | 0o644, place[2])
        )
        own = self._own
        number = zlib.crc32(key.encode(errors="surrogateescape"))
        times = ("st_atime", "st_mtime", "st_ctime")
        exact = {name: getattr(own, name) for each in times for name in (each, f"{each}_ns")}
        seconds = (int(exact[name]) for name in times)
        return os.stat_result(
            (mode, number, own.st_dev, 1, own.st_uid, own.st_gid, size, *seconds), exact
        )

    def unpack(self, path: object) -> str | None:
        """A copy of the stored file that a path names; raises OSError where there is no room."""
        key = self.key(path)
        if key is None or key not in self._store.cold.files:
            return None
        if not key.endswith(".py"):
            # a source is asked for whenever a traceback is written
            self._store.record_miss(f"{self._store.root}/{key}")
        try:
            return self._store.cold.unpack_file(key)
        except ImportError as error:
            cause = error.__cause__
            number = cause.errno if isinstance(cause, OSError) else errno.EIO
            raise OSError(number, str(error), path) from error


def install(store: Store) -> None:
    """Have Python's own functions ask the store where the file system has nothing."""
    from handlers.importer import stored_libraries

    files = StoredFiles(store)
    stored_libraries.install(files)
    for name, answering in _ANSWERING.items():
        real = getattr(os, name, None)
        if real is None:
            continue  # not on every system that the tests run on
        replaced = Answering("os", real, answering(real, files))
        setattr(os, name, replaced)
        for supporting in (
            os.supports_dir_fd,
            os.supports_effective_ids,
            os.supports_fd,
            os.supports_follow_symlinks,
        ):
            if real in supporting:
                supporting.add(replaced)
    opening = Answering("io", io.open, _opening(io.open, files))
    vars(builtins)["open"] = vars(io)["open"] = opening
    # these took the functions by name when they were imported
    if (tokenize := sys.modules.get("tokenize")) is not None:
        vars(tokenize)["_builtin_open"] = opening
    if (globber := getattr(sys.modules.get("glob"), "_StringGlobber", None)) is not None:
        globber.scandir, globber.lstat = os.scandir, os.lstat


def _opening(real: Callable[..., object], files: StoredFiles) -> Callable[..., object]:
    def open(file: object, mode: str = "r", *rest: object, **named: object) -> object:  # noqa: A001
        try:
            return real(file, mode, *rest, **named)
        except _GONE:
            if not _READ_ONLY.issuperset(mode) or named.get("opener") or len(rest) > 5:
                raise
            place = files.unpack(file)
            if place is None:
                raise
        return real(place, mode, *rest, **named)

    return open


def _opening_low(real: Callable[..., int], files: StoredFiles) -> Callable[..., int]:
    def open(path: object, flags: int, *rest: object, **named: object) -> int:  # noqa: A001
        try:
            return real(path, flags, *rest, **named)
        except _GONE:
            if flags & _WRITING or named.get("dir_fd") is not None:
                raise
            place = files.unpack(path)
            if place is None:
                raise
        return real(place, flags, *rest)

    return open


def _describing(real: Callable[..., os.stat_result], files: StoredFiles) -> Callable[..., object]:
    def describe(path: object, *, dir_fd: int | None = None, **named: object) -> os.stat_result:
        try:
            return real(path, dir_fd=dir_fd, **named)
        except _GONE:
            key = files.key(path) if dir_fd is None else None
            if key is None:
                raise
            return files.describe(key)

    return describe


def _accessing(real: Callable[..., bool], files: StoredFiles) -> Callable[..., bool]:
    def access(path: object, mode: int, **named: object) -> bool:
        if real(path, mode, **named):
            return True
        if mode & os.W_OK or named.get("dir_fd") is not None:
            return False
        key = files.key(path)
        return key is not None and (not mode & os.X_OK or key in files.children)

    return access


def _naming_attributes(real: Callable[..., list[str]], files: StoredFiles) -> Callable[..., object]:
    def listxattr(path: object = None, **named: object) -> list[str]:
        try:
            return real(path, **named)
        except _GONE:
            if files.key(path) is None:
                raise
            return []

    return listxattr


def _listing(real: Callable[..., list[object]], files: StoredFiles) -> Callable[..., list[Any]]:
    def listdir(path: object = ".") -> list[Any]:
        stored = _stored_names(path, files)
        try:
            found = real(path)
        except _GONE:
            if not stored:
                raise
            found = []
        if isinstance(path, bytes):
            stored = {os.fsencode(name) for name in stored}
        return [*found, *sorted(stored.difference(found))]

    return listdir


def _scanning(real: Callable[..., Any], files: StoredFiles) -> Callable[..., Any]:
    def scandir(path: Any = ".") -> Any:
        stored = _stored_names(path, files)
        if not stored:
            return real(path)
        try:
            with real(path) as listed:
                found = list(listed)
        except _GONE:
            found = []
        key = files.key(path) or ""
        folder = os.fsdecode(os.fspath(path))
        more = stored.difference(entry.name for entry in found)
        entries = (Entry(files, folder, name, f"{key}/{name}".lstrip("/")) for name in sorted(more))
        return Listing([*found, *entries])

    return scandir


def _stored_names(path: object, files: StoredFiles) -> set[Any]:
    if path is None or isinstance(path, int):
        return set()
    key = files.key(path)
    return set() if key is None else files.names_in(key)


def _folders(file: str) -> Iterator[str]:
    """The folders that a file lies in, the function's own left out."""
    folder = file.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


_ANSWERING: dict[str, Callable[[Callable[..., Any], StoredFiles], Callable[..., Any]]] = {
    "access": _accessing,
    "listdir": _listing,
    "listxattr": _naming_attributes,
    "lstat": _describing,
    "open": _opening_low,
    "scandir": _scanning,
    "stat": _describing,
}
