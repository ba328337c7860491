"""Modules that load a library that cannot be loaded, read from the sources of the tree.

Packages bring plugins for what few machines have: numba a pool of threads of TBB, others one of
MPI, CUDA or X11. They import it where it may fail, and go on without. Such a plugin keeps nobody
from serving; one that is imported by code that does not expect a failure does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from packager.models.code_imports import name_last, parse_source
from packager.pipeline.slim.native.library_needs import read_libraries
from packager.pipeline.slim.passes import check_wanted, each_wanted
from packager.system import file_tree
from packager.system.elf import Elf

_EXPECTED: Final = frozenset(
    {"ImportError", "ModuleNotFoundError", "OSError", "Exception", "BaseException"}
)
_DOTTED: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_MODEL: Final = "model"
_MOST_BYTES: Final = 50_000_000


def find_loaders(root: Path, provided: Iterable[str]) -> dict[PurePosixPath, frozenset[str]]:
    """For each library that lacks another, the modules that cannot do without it.

    A module is named as `package.module`, a file of the model by its path. `provided` is what the
    target's system has.
    """
    files = [path.as_posix() for path in file_tree.walk(root)]
    libraries = read_libraries(root, files)
    broken = _find_broken(libraries, files, provided)
    if not broken:
        return {}
    sources = _Sources(root, files)
    found = {path: sources.find_importers(path) for path in broken}
    for path, through in broken.items():
        for other in through:
            found[other] |= found[path]
    return {PurePosixPath(path): frozenset(modules) for path, modules in sorted(found.items())}


def _find_broken(
    libraries: Mapping[str, Elf], files: Iterable[str], provided: Iterable[str]
) -> dict[str, set[str]]:
    """Libraries that do not load, each with those of the tree that it does not load for."""
    present = {path.rpartition("/")[2] for path in files}
    present |= {str(elf.soname) for elf in libraries.values()} | set(provided)
    broken: dict[str, set[str]] = {
        path: set() for path, elf in libraries.items() if not present.issuperset(elf.needed)
    }
    grown = True
    while grown:
        grown = False
        by_name = {path.rpartition("/")[2]: path for path in broken}
        for path, elf in libraries.items():
            through = {by_name[name] for name in elf.needed if name in by_name}
            through |= {each for other in through for each in broken[other]}
            if not through <= broken.get(path, set()):
                broken.setdefault(path, set()).update(through)
                grown = True
    return broken


class _Sources:
    """The Python of a tree, and what of it imports what."""

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self._texts: dict[str, bytes] = {}
        self._pickles: dict[str, bytes] = {}
        for path in each_wanted(files):
            if path.endswith(".py"):
                self._texts[path] = (root / path).read_bytes()
            elif path.startswith(f"{_MODEL}/") and (root / path).stat().st_size < _MOST_BYTES:
                self._pickles[path] = (root / path).read_bytes()
        self._mentions: dict[str, frozenset[str]] = {}

    def find_importers(self, library: str) -> set[str]:
        """Find what imports the library, or imports that, without expecting a failure."""
        found: set[str] = set()
        todo = [_name_module(library), library.rpartition("/")[2]]
        while todo:
            target = todo.pop()
            new = self._find_direct(target) - found
            found |= new
            todo += [each for each in new if "/" not in each]
        return found

    def _find_direct(self, target: str) -> set[str]:
        word = target if ".so" in target else target.rpartition(".")[2]
        found = {
            path if path.startswith(f"{_MODEL}/") else _name_module(path)
            for path, text in self._texts.items()
            if word.encode() in text and target in self._read_mentions(path, text)
        }
        words = [each.encode() for each in target.split(".")]
        found |= {
            path
            for path, content in self._pickles.items()
            if all(each in content for each in words)
        }
        return found - {target}

    def _read_mentions(self, path: str, text: bytes) -> frozenset[str]:
        check_wanted()
        if path not in self._mentions:
            self._mentions[path] = read_mentions(text, PurePosixPath(path))
        return self._mentions[path]


def _name_module(path: str) -> str:
    """As it is imported: `a/b/__init__.py` is a.b, `a/c.cpython-313-x86_64-linux-gnu.so` a.c."""
    folder, _, name = path.rpartition("/")
    parts = [*folder.split("/"), name.partition(".")[0]]
    return ".".join(part for part in parts if part and part != "__init__")


def read_mentions(text: bytes, path: PurePosixPath) -> frozenset[str]:
    """Modules that a source imports without expecting a failure, and names of libraries in it."""
    tree = parse_source(text)
    if tree is None:
        return frozenset()
    visitor = _Mentions(path)
    try:
        visitor.visit(tree)
    except RecursionError:
        # nested too deep to be told apart: it may import whatever it names
        for word in _DOTTED.findall(text.decode("utf-8", "replace")):
            visitor.add(word)
    return frozenset(visitor.found)


class _Mentions(ast.NodeVisitor):
    def __init__(self, path: PurePosixPath) -> None:
        self.found: set[str] = set()
        self._path = path

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        parts = list(self._path.parts[: -node.level]) if node.level else []
        base = [*parts, *((node.module or "").split(".") if node.module else [])]
        self.add(".".join(base))
        for alias in node.names:
            self.add(".".join([*base, alias.name]))

    def visit_Constant(self, node: ast.Constant) -> None:
        """A name that is given to importlib.import_module or to ctypes."""
        if isinstance(node.value, str) and re.fullmatch(r"[\w./+-]{3,200}", node.value):
            if ".so" in node.value:
                self.found.add(node.value.rpartition("/")[2])
            elif "." in node.value:
                self.add(node.value)

    def visit_Try(self, node: ast.Try) -> None:
        if not any(_catches(handler.type) for handler in node.handlers):
            self.generic_visit(node)
            return
        for each in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(each)

    def visit_With(self, node: ast.With) -> None:
        calls = [item.context_expr for item in node.items]
        suppressed = (
            each.args
            for each in calls
            if isinstance(each, ast.Call) and name_last(each.func) == "suppress"
        )
        if not any(_catches(error) for errors in suppressed for error in errors):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if name_last(node.test) == "TYPE_CHECKING":
            for each in node.orelse:
                self.visit(each)
        else:
            self.generic_visit(node)

    def add(self, dotted: str) -> None:
        parts = dotted.split(".")
        self.found.update(".".join(parts[: at + 1]) for at in range(len(parts)))


def _catches(error: ast.expr | None) -> bool:
    if error is None:
        return True
    each: Collection[ast.expr] = error.elts if isinstance(error, ast.Tuple) else (error,)
    return any(name_last(one) in _EXPECTED for one in each)
