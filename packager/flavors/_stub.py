"""What a file of Python asks of mlflow, and whether our stand-in has it; the file is not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import handlers

_ROOT: Final = Path(handlers.__file__).parent / "stub"


def imports_mlflow(path: Path) -> bool:
    """Whether the file's text imports mlflow; a file that is no Python may."""
    tree = _parsed(path)
    return tree is None or any(True for _ in _asked(tree))


def lacks(path: Path) -> bool:
    """Whether the file imports something by name, at its top, that the stand-in has not."""
    tree = _parsed(path)
    if tree is None:
        return False
    return not all(_has(module, name) for module, name in _asked(ast.Module(_top(tree), [])))


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _top(tree: ast.Module) -> list[ast.stmt]:
    """Imports that run whenever the file does; one in a function or under `try` may not."""
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def _asked(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """(module, name) of each import from mlflow; None where the module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [(node.module or "", alias.name) for alias in node.names]  # type: ignore[misc]
        else:
            continue
        yield from (each for each in found if each[0].partition(".")[0] == "mlflow")


def _has(module: str, name: str | None) -> bool:
    file = _file(module)
    if file is None:
        return False
    return name in {None, "*"} or _file(f"{module}.{name}") is not None or name in _names(file)


def _file(module: str) -> Path | None:
    base = _ROOT.joinpath(*module.split("."))
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in files if path.is_file()), None)


@cache
def _names(file: Path) -> frozenset[str]:
    """What the module defines or imports at its top."""
    names: set[str] = set()
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(names)
