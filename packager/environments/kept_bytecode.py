"""Bytecode of what models import in their environments, compiled by this program and kept.

A model's own process would compile it anew in each build: what such a process wrote is of no use to
another. Only the names of what it imported are taken from it, and only of files that the
environment or its Python has. These are compiled in a process that imports none of them, and a
model's process can read the result, not write to it. Python itself compares the bytecode with its
source's time and size.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from packager.errors import ToolError
from packager.system import cache, process
from packager.system.scratch import make_scratch
from packager.types import Interpreter

_NAMES: Final = "imported"
_KIND: Final = "compiled"
_MOST: Final = 20_000
"""Sources of one environment: more than any model imports."""
_SECONDS: Final = 900
_PROGRAMS: Final = ("oracle.py", "machine_code", "onnx")
"""Programs that load a model in its own environment, which import much the same."""


def name_use(program: str, flavors: Iterable[str]) -> str:
    """Name what a process does: another program, or another flavor's loader, imports others."""
    return " ".join([program, *sorted(flavors)])


@contextlib.contextmanager
def lending_bytecode(
    python: Path, interpreter: Interpreter, use: str
) -> Iterator[tuple[Path, bool]]:
    """Yield a folder for PYTHONPYCACHEPREFIX, and whether it is to be written to.

    Where nobody knows yet what is imported it is, and what was is kept for the next process.
    Raises what `provide_bytecode` raises.
    """
    store = provide_bytecode(python, interpreter, use)
    if store is not None:
        yield store, False
        return
    with make_scratch("bytecode") as written:
        copy_known(python, interpreter, use, written)
        yield written, True
        keep_imported(python, interpreter, use, written)


def keep_imported(python: Path, interpreter: Interpreter, use: str, written: Path) -> None:
    """Keep which sources a process of this environment has compiled into the folder `written`.

    `use` names what the process did: another use imports other modules.
    """
    names = sorted(_list_sources(python, interpreter, written))[:_MOST]
    if not names:
        return
    key = _make_key(python, interpreter, use)
    cache.remember(_NAMES, key, lambda: json.dumps(names).encode())


def provide_bytecode(python: Path, interpreter: Interpreter, use: str) -> Path | None:
    """Return a folder for PYTHONPYCACHEPREFIX; None where nobody knows yet what is imported.

    Raises what `cache.ensure` raises.
    """
    names = _recall_names(python, interpreter, use)
    if names is None:
        return None

    def make(folder: Path) -> None:
        known = copy_known(python, interpreter, use, folder)
        _compile_sources(sorted({*names} - known), interpreter, folder)

    return cache.ensure(_KIND, _name_store(python, interpreter, use, names), make)


def check_compiled(done: process.Done) -> None:
    """Raises ToolError where compileall was ended: some sources may have no bytecode at all.

    It exits 1 where a source is no valid Python for this one, which then has none.
    """
    if done.returncode not in {0, 1}:
        raise ToolError(
            f"Compiling bytecode was ended with exit code {done.returncode}. Run it again; where "
            f"memory is short, close other programs first.\n{done.stderr.strip()[-2000:]}".rstrip()
        )


def _make_key(python: Path, interpreter: Interpreter, use: str) -> str:
    """Return a key of an environment where it lies: bytecode is found by its source's path."""
    return cache.make_key([str(python), interpreter.version, str(interpreter.path), use])


def _recall_names(python: Path, interpreter: Interpreter, use: str) -> list[str] | None:
    """The sources that a process of this use was seen to import; None where none was seen."""
    kept = cache.recall(_NAMES, _make_key(python, interpreter, use))
    if kept is None:
        return None
    names: list[str] = json.loads(kept)
    return names


def _name_store(python: Path, interpreter: Interpreter, use: str, names: Sequence[str]) -> str:
    return cache.make_key([_make_key(python, interpreter, use), names])


def copy_known(python: Path, interpreter: Interpreter, use: str, folder: Path) -> set[str]:
    """Copy into the empty `folder` what is compiled for another program of the environment.

    Returns the sources of that.
    """
    program, _, flavors = use.partition(" ")
    for other in (f"{each} {flavors}" for each in _PROGRAMS if each != program):
        names = _recall_names(python, interpreter, other)
        if names is None:
            continue
        if cache.copy_entry(_KIND, _name_store(python, interpreter, other, names), folder):
            return {*names}
    return set()


def _list_sources(python: Path, interpreter: Interpreter, written: Path) -> Iterator[str]:
    """List the sources of bytecode in `written`, as far as they are the environment's."""
    own = (python.parent.parent / "lib", interpreter.path.resolve().parent.parent / "lib")
    for path in written.rglob("*.pyc"):
        place = Path("/", path.parent.relative_to(written))
        source = place / f"{path.name.partition('.')[0]}.py"
        if any(source.is_relative_to(each) for each in own) and source.is_file():
            yield str(source)


def _compile_sources(names: Sequence[str], interpreter: Interpreter, folder: Path) -> None:
    """Compile with the environment's own Python, and nothing that is installed in it.

    A source that does not compile has no bytecode. Raises ToolError.
    """
    count = os.cpu_count() or 1
    shards = [shard for start in range(count) if (shard := names[start::count])]

    def compile_shard(shard: Sequence[str]) -> None:
        with make_scratch("compile") as scratch:
            listed = scratch / "sources.txt"
            listed.write_text("".join(f"{name}\n" for name in shard), encoding="utf-8")
            done = process.run(
                [
                    *(interpreter.path, "-I", "-S", "-B", "-W", "ignore"),
                    *("-X", f"pycache_prefix={folder}"),
                    *("-m", "compileall", "-q", "-i", listed),
                ],
                check=False,
                timeout_seconds=_SECONDS,
            )
        check_compiled(done)

    with ThreadPoolExecutor(max_workers=count) as pool:
        for _ in pool.map(compile_shard, shards):
            pass
