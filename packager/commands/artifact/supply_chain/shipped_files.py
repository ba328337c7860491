"""Files that a function has, in whatever form: as they are, compressed, or as bytecode alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
LIES_OUTSIDE: Final = "packager:lies-outside"
"""Property of a file that the function reads at its start, and that is not in its package."""
_LIBRARY: Final = re.compile(r"(?:^|/)lib[^/]*\.so(?:\.[^/]*)?$")
_NATIVE: Final = re.compile(r"\.so(?:\.\d+)*$")
_EXTENSION: Final = re.compile(r"\.(?:cpython-|abi3\.)")
_BYTECODE: Final = re.compile(r"(?:__pycache__/)?([^/]+?)(?:\.cpython-\d+(?:\.opt-\d)?)?\.pyc$")
_SUFFIX: Final = re.compile(r"(?:\.cpython-[^/]*|\.abi3)?\.(?:so|py|pyc)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A shared library, or an extension module of Python's."""

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

    def may_define(self, module: str, name: str) -> bool:
        """Tell whether what ships of a module's package may define `name`, wherever in it.

        An advisory names a function by its public path, and another module may have its code.
        Bytecode has each name of a source as it is written there; an extension may not.
        Raises IntegrityError where the compressed store is damaged.
        """
        top = module.partition(".")[0].strip("_").lower()
        own = sorted(each for each in self.names if _is_of_package(each, top))
        if any(each.endswith(".so") for each in own):
            return True
        return any(name.encode() in content for content in self._read_package(top, own))

    def _read_package(self, top: str, names: Sequence[str]) -> Iterator[bytes]:
        """Yield what ships of a package, in whatever form."""
        for path in walk(self.root):
            if _is_of_package(path.as_posix(), top):
                yield (self.root / path).read_bytes()
        if store := _open_store(self.root):
            yield from (store.read(each) or b"" for each in names)
        places = [place for place in _list_archived(self.root) if _is_of_package(place[0], top)]
        yield from _read_code(self.root, places)

    def list_libraries(self) -> Iterator[Library]:
        """Yield each once, by path. Raises IntegrityError where the compressed store is damaged."""
        return self._list_native(is_library)

    def list_extensions(self) -> Iterator[Library]:
        """Yield each extension module of Python's, as `list_libraries` does."""
        return self._list_native(is_extension)

    def _list_native(self, is_meant: Callable[[str], bool]) -> Iterator[Library]:
        for name in sorted(each for each in self.plain if is_meant(each)):
            path = self.root / name
            yield Library(
                path=name, sha256=sha256(path), content=path.read_bytes(), is_stored=False
            )
        wanted = sorted(each for each in self.stored - self.plain if is_meant(each))
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


def is_extension(name: str) -> bool:
    """Tell whether a path is that of an extension module: native code that Python imports."""
    return bool(_NATIVE.search(name)) and not is_library(name)


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


def is_left_out_unlisted(module: str, names: frozenset[str]) -> bool:
    """Tell whether a name lies below a folder that a list names for all that was in it."""
    stem = module.replace(".", "/")
    return any(each.endswith("/") and stem.startswith(each) for each in names)


def find_owner(module: str, names: frozenset[str]) -> tuple[str, str]:
    """Return the module that a dotted name is of, and the first name inside it.

    The second is empty for a module itself, the first where no part of it is one.
    """
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if _list_files(names, "/".join(parts[:length])):
            return ".".join(parts[:length]), next(iter(parts[length:]), "")
    return "", parts[0]


def _is_of_package(path: str, top: str) -> bool:
    """Tell whether a path is of a package, or of one whose name begins alike: yaml and _yaml."""
    if ".dist-info/" in path:
        return False
    own = path.partition("/")[0].partition(".")[0].strip("_").lower()
    return bool(own) and (own.startswith(top) or top.startswith(own))


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
    return (path for path, _, _ in _list_archived(root))


def _read_code(root: Path, places: Sequence[tuple[str, int, int]]) -> Iterator[bytes]:
    if not places:
        return
    path = root / HOME / bytecode_importer.CODE_FILE
    try:
        with path.open("rb") as archive:
            for _, offset, length in places:
                archive.seek(offset)
                yield archive.read(length)
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path.relative_to(root)} cannot be read: {error}") from error


def _list_archived(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield each source whose bytecode is archived, with its offset and its length there."""
    path = root / HOME / bytecode_importer.INDEX
    if not path.is_file():
        return
    try:
        index: Mapping[str, Mapping[str, list[str | int]]] = json.loads(
            path.read_text(encoding="utf-8")
        )
        places = list(index["modules"].values())
        yield from (
            (str(place[1]), int(place[2]), int(place[3]))
            for place in places
            if place[0] == bytecode_importer.CODE
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"{path.relative_to(root)} is damaged: {error!r}. Build the artifact again."
        ) from error
