"""Find a Python of a given minor version on this machine: this one, PATH, pyenv, uv."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packager.environments import uv_command
from packager.errors import InterpreterNotFoundError, ToolError
from packager.system import process
from packager.system.resources import find_home
from packager.types import Interpreter

_LOOKED = ("the packager's own", "PATH", "pyenv", "uv")
_ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.implementation.name)"


def _list_candidates(minor: str) -> Iterator[tuple[Path, str]]:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == minor:
        # the base, so that an environment made from it does not hang on ours
        yield Path(getattr(sys, "_base_executable", sys.executable)), "this interpreter"
    found = shutil.which(f"python{minor}")
    if found and not _is_shim(Path(found)):
        yield Path(found), "PATH"
    for folder in _list_pyenv(minor):
        yield folder / "bin" / f"python{minor}", "pyenv"
    found_by_uv = uv_command.run(
        ["python", "find", "--no-project", "--no-python-downloads", minor], check=False
    )
    if found_by_uv.returncode == 0:
        yield Path(found_by_uv.stdout.strip()), "uv"


def _find_pyenv() -> Path | None:
    home = find_home()
    if named := os.environ.get("PYENV_ROOT"):
        return Path(named)
    return None if home is None else home / ".pyenv"


def _is_shim(program: Path) -> bool:
    """Tell whether it is a script of pyenv's, which starts slowly what is listed next itself."""
    root = _find_pyenv()
    return root is not None and program.parent == root / "shims"


def _list_pyenv(minor: str) -> list[Path]:
    """Its versions of one minor, the latest first; none where the folder is not ours to read."""
    root = _find_pyenv()
    if root is None:
        return []
    try:
        return sorted((root / "versions").glob(f"{minor}.*"), key=_order_version, reverse=True)
    except OSError:
        return []


def _order_version(folder: Path) -> tuple[int, ...]:
    """Order 3.13.10 after 3.13.9, and what is no release before both."""
    parts = folder.name.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


@functools.cache
def find(minor: str) -> Interpreter:
    """A CPython of that minor version that starts and says so; a shim that does not is passed over.

    Raises InterpreterNotFoundError, which says how to get one.
    """
    for path, found_by in _list_candidates(minor):
        try:
            asked = process.run([path, "-I", "-c", _ASK], check=False, timeout_seconds=30)
        except ToolError:
            continue
        version, _, implementation = asked.stdout.strip().partition(" ")
        if implementation == "cpython" and version.startswith(f"{minor}."):
            return Interpreter(path=path, version=version, found_by=found_by)
    raise InterpreterNotFoundError(minor, _LOOKED)


def available(minors: tuple[str, ...]) -> tuple[Interpreter, ...]:
    """Those of `minors` that are on this machine, in their order; all are looked for at once."""

    def look(minor: str) -> Interpreter | None:
        try:
            return find(minor)
        except InterpreterNotFoundError:
            return None

    with ThreadPoolExecutor(max_workers=len(minors) or 1) as pool:
        return tuple(each for each in pool.map(look, minors) if each is not None)


def fetch(minor: str) -> Interpreter:
    """Have uv download that Python where none is here.

    Raises InterpreterNotFoundError where uv cannot, as on a machine without access to its source.
    """
    try:
        return find(minor)
    except InterpreterNotFoundError:
        uv_command.run(["python", "install", minor], check=False, timeout_seconds=600)
        find.cache_clear()
        return find(minor)
