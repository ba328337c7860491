"""Imports from one archive of bytecode, and what is seldom needed from a compressed store.

`store.index` names every module that the build found below the function's folder, so that none is
looked for: a path hook answers for each of its folders from a dict, without a stat and without a
listing. Order and meaning of sys.path, `__path__` and namespace packages stay Python's own.

    FILE   lies in its place
    CODE   its bytecode is in `store.code`; its source lies in its place or in `store.cold`
    COLD   is in `store.cold` alone: serving was never seen to need it. Importing it is a miss.
    TREE   a package in `store.cold` with its data files; importing it unpacks it below /tmp

What else is in the store is there for those who open it by name (stored_files.py). The folder is
taken to be as it was built: what is written into it later is not found.
"""

from __future__ import annotations

import _imp
import json
import logging
import marshal
import os
import sys
from collections.abc import Iterator
from importlib._bootstrap_external import MAGIC_NUMBER, spec_from_file_location
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from threading import Lock
from types import CodeType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handlers.importer.compressed_store import CompressedStore

FORMAT = 2
INDEX, CODE_FILE, COLD_FILE = "store.index", "store.code", "store.cold"
FILE, CODE, COLD, TREE, FOLDER = range(5)
_AGAIN = "Deploy the artifact again."


class DamagedStoreError(ImportError):
    """A file of the store is not the one that was built."""


class StoreLoader(SourceFileLoader):
    """A source that may be in the compressed store."""

    def __init__(self, name: str, path: str, store: Store) -> None:
        super().__init__(name, path)
        self._store = store

    def get_data(self, path: str) -> bytes:
        try:
            return super().get_data(path)
        except FileNotFoundError:
            found = self._store.read_stored(path)
            if found is None:
                raise
            return found


class CodeLoader(StoreLoader):
    """Bytecode from the archive; the source is read when somebody asks for it."""

    def __init__(self, name: str, path: str, store: Store, place: tuple[int, int]) -> None:
        super().__init__(name, path, store)
        self._place = place

    def get_code(self, fullname: str) -> CodeType:
        try:
            code = marshal.loads(self._store.code(*self._place))  # noqa: S302 - the build's own
        except (EOFError, ValueError, TypeError) as error:
            raise self._make_damage_error(fullname) from error
        if not isinstance(code, CodeType):
            raise self._make_damage_error(fullname)
        if code.co_filename != self.path:
            # as Python does with bytecode that was compiled elsewhere
            _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]  # noqa: SLF001
        return code

    def _make_damage_error(self, name: str) -> DamagedStoreError:
        place = self._store.relative(self.path)
        return DamagedStoreError(f"{CODE_FILE} is damaged at {place}. {_AGAIN}", name=name)


class ColdSourceLoader(StoreLoader):
    """Compiles the source that is in the compressed store."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the protocol's
        self._store.record_miss(self.path)
        return self.source_to_code(self.get_data(self.path), self.path)


class ColdExtensionLoader(ExtensionFileLoader):
    """An extension module that is unpacked, with the libraries it needs, before it is loaded."""

    def __init__(self, name: str, path: str, store: Store) -> None:
        super().__init__(name, path)
        self._store = store

    def create_module(self, spec: ModuleSpec) -> Any:
        self._store.record_miss(self.path)
        spec.origin = self.path = self._store.cold.unpack_file(self._store.relative(self.path))
        return super().create_module(spec)


class TreeLoader(StoreLoader):
    """A package that is unpacked whole; from then on it is an ordinary one."""

    def create_module(self, spec: ModuleSpec) -> None:
        self._store.record_miss(self.path)
        self.path = self._store.unpack_tree(self.path)
        spec.origin, spec.cached = self.path, None
        spec.submodule_search_locations = [self.path.rpartition("/")[0]]


class Folder:
    """One folder of the function, as PathFinder asks about it."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._prefix = f"{folder}/" if folder else ""

    def find_spec(self, name: str, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        tail = name.rpartition(".")[2]
        entry = self._store.modules.get(self._prefix + tail)
        if entry is None and tail == "__init__":  # a package's file, imported as a module of it
            entry = self._store.modules.get(self._prefix[:-1])
            entry = None if entry is None or entry[0] == FOLDER else entry
        return None if entry is None else self._store.spec(name, entry)

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """For pkgutil, which lists a folder otherwise."""
        start = len(self._prefix)
        for key, (kind, path, *_) in self._store.modules.items():
            if kind != FOLDER and key.startswith(self._prefix) and "/" not in key[start:]:
                yield prefix + key[start:], path.startswith(f"{key}/")

    def invalidate_caches(self) -> None:
        """The index does not go stale."""


class Store:
    def __init__(self, root: str) -> None:
        """`root` is the function's folder.

        Raises FileNotFoundError where it has no index, DamagedStoreError where that is not one of
        this Python's.
        """
        self.root = root
        self._home = f"{root}/handlers/"
        self._cold: CompressedStore | None = None
        self._trees: set[str] = set()
        self._misses = 0
        self._counting = Lock()
        with open(self._home + INDEX, "rb") as file:  # noqa: PTH123 - pathlib costs a start
            text = file.read()
        try:
            index = json.loads(text)
            made_for, size, self.has_cold = index["python"], index["code_bytes"], index["cold"]
            self.modules: dict[str, list[Any]] = index["modules"]
            self.files: list[str] = index["files"]
            """What the store has beside modules and packages that are unpacked whole."""
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedStoreError(f"{INDEX} is damaged. {_AGAIN}") from error
        if made_for != [FORMAT, MAGIC_NUMBER.hex()]:
            msg = f"{INDEX} is for another Python than this one. Build for the runtime's Python."
            raise DamagedStoreError(msg)
        self._code = self._open_code(size) if size else -1

    def _open_code(self, size: int) -> int:
        try:
            code = os.open(self._home + CODE_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DamagedStoreError(f"{CODE_FILE} is not there. {_AGAIN}") from None
        if os.fstat(code).st_size != size:
            os.close(code)
            raise DamagedStoreError(f"{CODE_FILE} does not have {size} bytes. {_AGAIN}")
        os.posix_fadvise(code, 0, 0, os.POSIX_FADV_WILLNEED)
        return code

    def hook(self, path: str) -> Folder:
        """For sys.path_hooks: ImportError for a folder that is not the index's to answer for."""
        folder = self.relative(path)
        known = self.modules.get(folder)
        if folder and (known is None or known[0] == TREE):
            raise ImportError(path)
        return Folder(self, folder)

    def relative(self, path: str) -> str:
        """Raises ImportError for a path that is not below the function's folder."""
        if path == self.root:
            return ""
        if not path.startswith(self.root + "/"):
            raise ImportError(path)
        return path[len(self.root) + 1 :]

    def spec(self, name: str, entry: list[Any]) -> ModuleSpec:
        kind, path = entry[0], f"{self.root}/{entry[1]}"
        if kind == FOLDER:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [path]
            return spec
        folder, _, file = path.rpartition("/")
        package = file.startswith("__init__.") and not name.endswith(".__init__")
        within = [folder] if package else None
        if kind == CODE:
            # what spec_from_file_location does, without what is known here
            loader = CodeLoader(name, path, self, (entry[2], entry[3]))
            spec = ModuleSpec(name, loader, origin=path)
            spec.submodule_search_locations = within
            spec.cached = f"{folder}/__pycache__/{file[:-3]}.{sys.implementation.cache_tag}.pyc"
            spec.has_location = True
            return spec
        if kind == TREE and path in self._trees:
            path = self.unpack_tree(path)
            kind, within = FILE, [path.rpartition("/")[0]]
        found = spec_from_file_location(
            name, path, loader=self._loader(kind, name, path), submodule_search_locations=within
        )
        if found is None:
            raise ImportError(path, name=name)
        return found

    def _loader(self, kind: int, name: str, path: str) -> Any:
        if kind == TREE:
            return TreeLoader(name, path, self)
        if path.endswith(tuple(EXTENSION_SUFFIXES)):
            if kind == COLD:
                return ColdExtensionLoader(name, path, self)
            return ExtensionFileLoader(name, path)
        if kind == COLD:
            return ColdSourceLoader(name, path, self)
        return (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)(name, path)

    def code(self, offset: int, length: int) -> bytes:
        return os.pread(self._code, length, offset)

    def read_stored(self, path: str) -> bytes | None:
        """Read what the compressed store has in a file's place; None where it has nothing."""
        if not self.has_cold or not path.startswith(self.root + "/"):
            return None
        return self.cold.read(self.relative(path))

    def unpack_tree(self, path: str) -> str:
        """The place below /tmp of a package's `__init__.py`, with all of the package beside it."""
        self._trees.add(path)
        return self.cold.unpack_tree(self.relative(path))

    @property
    def cold(self) -> CompressedStore:
        with self._counting:
            if self._cold is None:
                from handlers.importer.compressed_store import CompressedStore

                self._cold = CompressedStore(self.root, self._home + COLD_FILE)
            return self._cold

    def record_miss(self, path: str) -> None:
        with self._counting:
            self._misses += 1
        logging.getLogger(__name__).warning("compressed store: %s", self.relative(path))

    def take_misses(self) -> int:
        """Return how many there were since this was last asked."""
        with self._counting:
            misses, self._misses = self._misses, 0
        return misses


def install(root: str) -> Store | None:
    """Answer for the folders below `root` from now on; None where nothing was built into it."""
    try:
        store = Store(root)
    except FileNotFoundError:
        return None
    # a folder that is on the path twice has every distribution twice
    sys.path[:] = dict.fromkeys(sys.path)
    sys.path_hooks.insert(0, store.hook)
    for path in list(sys.path_importer_cache):
        if path == root or path.startswith(root + "/"):
            del sys.path_importer_cache[path]
    if store.has_cold:
        from handlers.importer import stored_files

        stored_files.install(store)
    return store
