"""Files that a function has, in whatever form: as they are, compressed, or as bytecode alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from handlers.importer import bytecode_importer
from handlers.importer.compressed_store import CompressedStore
from packager.errors import IntegrityError
from packager.system.file_tree import sha256, walk

HOME: Final = Path("handlers")
STORE: Final = (HOME / bytecode_importer.COLD_FILE).as_posix()
LEFT_OUT: Final = "packager:left-out"
"""Property of a package: modules that were installed and do not ship."""
STORED: Final = "packager:stored-in"
"""Property of a library that lies in the compressed store."""
_LIBRARY: Final = re.compile(r"(?:^|/)lib[^/]*\.so(?:\.[^/]*)?$")
_EXTENSION: Final = re.compile(r"\.(?:cpython-|abi3\.)")
_BYTECODE: Final = re.compile(r"(?:__pycache__/)?([^/]+?)(?:\.cpython-\d+(?:\.opt-\d)?)?\.pyc$")
_SUFFIX: Final = re.compile(r"(?:\.cpython-[^/]*|\.abi3)?\.(?:so|py|pyc)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A shared library that is not an extension module of Python's."""

    path: str
    sha256: str
    """Of the library as it is loaded."""
    content: bytes
    is_stored: bool
    """True where it lies in the compressed store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedFiles:
    """Paths relative to the function's folder; a source stands for its bytecode too."""

    root: Path
    plain: frozenset[str]
    stored: frozenset[str]
    """In the compressed store."""
    archived: frozenset[str]
    """Sources whose bytecode is in the archive."""

    @property
    def names(self) -> frozenset[str]:
        return self.plain | self.stored | self.archived

    def find_module(self, module: str) -> tuple[str, ...]:
        """Return the files that a dotted name may be read from, itself or what it is an object of.

        `a.b.c` is a/b/c.py, a/b/c/__init__.py, an extension of that name, or all below a/b/c;
        where none is there and a/b.py is, `c` is a name inside it. A package's own `__init__` holds
        whatever of it is no module. Empty where nothing of it ships.
        """
        return find_module(self.names, module)

    def list_libraries(self) -> Iterator[Library]:
        """Yield each once, by path. Raises IntegrityError where the compressed store is damaged."""
        for name in sorted(each for each in self.plain if is_library(each)):
            path = self.root / name
            yield Library(
                path=name, sha256=sha256(path), content=path.read_bytes(), is_stored=False
            )
        wanted = sorted(each for each in self.stored - self.plain if is_library(each))
        if not wanted:
            return
        store = _open_store(self.root)
        for name in wanted:
            content = (store.read(name) if store else None) or b""
            digest = hashlib.sha256(content).hexdigest()
            yield Library(path=name, sha256=digest, content=content, is_stored=True)


def list_shipped(root: Path) -> ShippedFiles:
    """Read a function's folder. Raises IntegrityError where its store or its index is damaged."""
    store = _open_store(root)
    return ShippedFiles(
        root=root,
        plain=frozenset(_name_source(path.as_posix()) for path in walk(root)),
        stored=frozenset(store.files if store else ()),
        archived=frozenset(_read_archived(root)),
    )


def is_library(name: str) -> bool:
    """Tell whether a path is that of a shared library that is nobody's extension module."""
    own = name.rpartition("/")[2]
    in_wheel = ".libs/" in name and ".so" in own
    return (in_wheel or bool(_LIBRARY.search(name))) and not _EXTENSION.search(own)


def find_module(
    names: frozenset[str], module: str, installed: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """See ShippedFiles.find_module; `installed` are the names before anything was left out.

    They tell a module that was left out from an object of the package that it was in.
    """
    parts = module.split(".")
    if _list_files(installed, "/".join(parts)):
        return _list_files(names, "/".join(parts))
    for length in range(len(parts), 0, -1):
        stem = "/".join(parts[:length])
        found = [each for each in names if _SUFFIX.sub("", each) == stem]
        if length == len(parts) and (both := _list_files(names, stem)):
            return both
        if found:
            return tuple(sorted(found))
        below = [each for each in names if each.startswith(f"{stem}/")]
        if below:
            start = [each for each in below if _SUFFIX.sub("", each) == f"{stem}/__init__"]
            # an object of the package itself, or a module of it that does not ship
            return tuple(sorted(start)) if _may_be_object(parts[length:]) else ()
    return ()


def _list_files(names: frozenset[str], stem: str) -> tuple[str, ...]:
    """List the files of a module, or of a package with all that is below it.

    A name that ends with a slash stands for all that was below a folder.
    """
    return tuple(
        sorted(
            each
            for each in names
            if each.startswith(f"{stem}/")
            or _SUFFIX.sub("", each) == stem
            or (each.endswith("/") and f"{stem}/".startswith(each))
        )
    )


def list_left_out(installed: Iterable[str], shipped: frozenset[str]) -> list[str]:
    """List modules that were installed and do not ship; a folder, with a slash, for all below it.

    A folder is named where nothing that was in it ships.
    """
    kept = {parent.as_posix() for name in shipped for parent in PurePosixPath(name).parents}
    found: set[str] = set()
    for name in installed:
        if not name.endswith((".py", ".so")) or name in shipped or ".dist-info/" in name:
            continue
        gone = [each.as_posix() for each in PurePosixPath(name).parents]
        folder = next((each for each in reversed(gone) if each not in kept), None)
        found.add(name if folder is None else f"{folder}/")
    return sorted(found)


def _may_be_object(rest: list[str]) -> bool:
    """Tell whether the rest of a dotted name may be an object: one name, or one of a class."""
    return len(rest) == 1 or (len(rest) > 1 and rest[0][:1].isupper())


def _name_source(path: str) -> str:
    """Return the source that a file of bytecode was made of, else the path."""
    found = _BYTECODE.search(path)
    return path if found is None else f"{path[: found.start()]}{found[1]}.py"


def _open_store(root: Path) -> CompressedStore | None:
    path = root / STORE
    if not path.is_file():
        return None
    try:
        return CompressedStore(str(root), str(path))
    except bytecode_importer.DamagedStoreError as error:
        raise IntegrityError(f"{STORE} cannot be read: {error}") from error


def _read_archived(root: Path) -> Iterator[str]:
    path = root / HOME / bytecode_importer.INDEX
    if not path.is_file():
        return
    try:
        index: Mapping[str, Mapping[str, list[str | int]]] = json.loads(
            path.read_text(encoding="utf-8")
        )
        places = list(index["modules"].values())
        yield from (str(place[1]) for place in places if place[0] == bytecode_importer.CODE)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{path.relative_to(root)} is damaged: {error!r}. Build the artifact again."
        ) from error
