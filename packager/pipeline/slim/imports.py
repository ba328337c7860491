"""Modules that a source file imports, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath

from packager.models.code_imports import name_last, parse_file


def modules(path: Path, relative: PurePosixPath) -> set[PurePosixPath]:
    """Every module that the file imports anywhere, inside functions too, as `package/module`.

    `relative` is the file's own place below the folder on sys.path. `from a import b` gives both
    `a` and `a/b`, as b may be a module; `import_module` of a text counts as an import. A file that
    does not parse imports nothing.
    """
    tree = parse_file(path)
    if tree is None:
        return set()
    found: set[PurePosixPath] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(_as_path(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(relative, node.level) / _as_path(node.module or "")
            found.add(base)
            found.update(base / alias.name for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            level = len(name) - len(name.lstrip("."))
            found.add(_base(relative, level) / _as_path(name.lstrip(".")))
    return found


def _imported_by_call(node: ast.Call) -> str:
    """The module's name in `import_module("name")`, or "" for any other call."""
    if name_last(node.func) not in {"import_module", "__import__"} or not node.args:
        return ""
    name = node.args[0]
    text = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""
    return text if all(part.isidentifier() for part in text.strip(".").split(".")) else ""


def files(module: PurePosixPath, among: AbstractSet[PurePosixPath]) -> set[PurePosixPath]:
    """The files of `among` that importing the module reads: its own, and its packages' __init__."""
    own = {module.with_suffix(".py"), module / "__init__.py"} if module.name else set()
    if own.isdisjoint(among):
        return set()
    parents = {parent / "__init__.py" for parent in module.parents}
    return {each for each in own | parents if each in among}


def _as_path(dotted: str) -> PurePosixPath:
    return PurePosixPath(*dotted.split(".")) if dotted else PurePosixPath()


def _base(relative: PurePosixPath, level: int) -> PurePosixPath:
    base = relative if level else PurePosixPath()
    for _ in range(level):
        base = base.parent
    return base
