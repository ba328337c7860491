"""Files of the tree's modules, and the index that the function imports by."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Final, TypeVar

from handlers.importer import bytecode_importer
from handlers.importer.compressed_store import CompressedStore
from packager.system import file_tree, process
from packager.types import Architecture, BuildPlan, FileRecord, Interpreter

P = TypeVar("P", bound=PurePath)

HOME: Final = "handlers"
BOOT: Final = frozenset(
    f"{HOME}/{name}.py"
    for name in (
        "__init__",
        "importer/__init__",
        "importer/bytecode_importer",
        "importer/compressed_store",
        "importer/stored_files",
        "importer/stored_libraries",
        "importer/child_interpreters",
        "importer/child_start/sitecustomize",
    )
)
"""Needed before the index is, or to read the store: they stay as they are."""
_MODEL: Final = "model"
"""Its code is found as Python finds any: where a folder comes on sys.path is its own affair."""
_MACHINES: Final[Mapping[Architecture, str]] = {"x86_64": "x86_64", "arm64": "aarch64"}
_MAGIC: Final = "import importlib.util as u; print(u.MAGIC_NUMBER.hex(), end='')"


def suffixes(plan: BuildPlan) -> tuple[str, ...]:
    """List suffixes of extension modules, sources and bytecode, as Python prefers them."""
    tag = tag_of(plan.interpreter)
    machine = _MACHINES[plan.request.target.architecture]
    return (f".{tag}-{machine}-linux-gnu.so", ".abi3.so", ".so", ".py", ".pyc")


def tag_of(interpreter: Interpreter) -> str:
    return f"cpython-{interpreter.minor.replace('.', '')}"


def bytecode_of(source: P, interpreter: Interpreter) -> P:
    """Return the path where Python looks for the bytecode of a source."""
    return source.parent / "__pycache__" / f"{source.stem}.{tag_of(interpreter)}.pyc"


def modules(files: Iterable[str], endings: tuple[str, ...]) -> dict[str, str]:
    """`package/module` to the file that Python would take for it.

    A package comes before a module of its name, and of several files for one name the first ending
    counts. What no import statement can name is left out.
    """
    ranked: dict[str, tuple[bool, int, str]] = {}
    for file in files:
        folder, _, name = file.rpartition("/")
        rank = next((at for at, ending in enumerate(endings) if name.endswith(ending)), None)
        if rank is None:
            continue
        stem = name.removesuffix(endings[rank])
        package = stem == "__init__"
        key = folder if package else f"{folder}/{stem}".lstrip("/")
        if importable(key):
            ranked[key] = min(ranked.get(key, (True, rank + 1, "")), (not package, rank, file))
    return {key: file for key, (_, _, file) in ranked.items()}


def _name_place(
    file: str, code: Mapping[str, tuple[int, int]], here: Collection[str]
) -> list[str | int]:
    if file in code:
        return [bytecode_importer.CODE, file, *code[file]]
    return [bytecode_importer.FILE if file in here else bytecode_importer.COLD, file]


def importable(key: str) -> bool:
    parts = key.split("/")
    return parts[0] != _MODEL and "__pycache__" not in parts and all(map(str.isidentifier, parts))


def write(
    root: Path,
    plan: BuildPlan,
    *,
    code: Mapping[str, tuple[int, int]],
) -> int:
    """Write the index of the tree and its compressed store; return how many modules it names.

    `code` has the place of each archived module's bytecode, by its source's path.
    """
    cold = cold_store(root)
    here = {path.as_posix() for path in file_tree.walk(root)}
    every = here | list_stored(root)
    known: dict[str, list[str | int]] = {
        folder: [bytecode_importer.FOLDER, folder] for folder in _folders(every)
    }
    for key, file in modules(every, suffixes(plan)).items():
        known[key] = _name_place(file, code, here)
    others = list_stored(root) - {entry[1] for entry in known.values()}
    for path in cold.trees if cold else ():
        known[path.partition("/")[0]] = [bytecode_importer.TREE, path]
    text = json.dumps(
        {
            "python": [bytecode_importer.FORMAT, magic(plan.interpreter)],
            "code_bytes": sum(length for _, length in code.values()),
            "cold": cold is not None,
            "files": sorted(others),
            "modules": {key: known[key] for key in sorted(known)},
        },
        separators=(",", ":"),
    )
    written = root / HOME / bytecode_importer.INDEX
    written.write_text(text + "\n", encoding="utf-8")
    written.chmod(0o644)
    return sum(entry[0] != bytecode_importer.FOLDER for entry in known.values())


def cold_store(root: Path) -> CompressedStore | None:
    path = root / HOME / bytecode_importer.COLD_FILE
    return CompressedStore(str(root), str(path)) if path.is_file() else None


def list_stored(root: Path) -> set[str]:
    """Files of the compressed store that are imported out of it one by one."""
    cold = cold_store(root)
    if cold is None:
        return set()
    return {*cold.files} - {file for tree in cold.trees.values() for file in tree}


def _folders(files: Iterable[str]) -> set[str]:
    found = {parent.as_posix() for file in files for parent in PurePosixPath(file).parents}
    return {folder for folder in found if importable(folder)}


@functools.cache
def magic(interpreter: Interpreter) -> str:
    """The number that the interpreter's bytecode starts with, in hex."""
    return process.run([interpreter.path, "-I", "-S", "-c", _MAGIC], timeout_seconds=60).stdout


def by_path(files: Iterable[FileRecord]) -> dict[str, FileRecord]:
    return {file.path.as_posix(): file for file in files}
