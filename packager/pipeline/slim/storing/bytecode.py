"""Bytecode that is valid where it lands: a read-only folder whose files have other dates.

Python takes bytecode by its source's date by default, which a zip with fixed dates never matches:
every cold start would compile everything anew and could write none of it down. Unchecked-hash
bytecode (PEP 552) is taken as it is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import Final

from packager.errors import StorageError, ToolError
from packager.pipeline.slim.passes import Pass, account_for, check_wanted
from packager.pipeline.slim.storing import index
from packager.pipeline.slim.storing.packed_files import pack_files, unpack_files
from packager.system import cache, process
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, Bundle, FileRecord, Interpreter, PassName

_LOG = logging.getLogger(__name__)

_KEPT_SOURCES: Final = 20
"""A package of so many sources is compiled once for all builds, by a process of its own."""
_OPTIONS: Final = (
    # columns serve the underlining in tracebacks alone: a fifth of it, zipped
    *("-X", "no_debug_ranges", "-m", "compileall", "-q", "-f"),
    *("--invalidation-mode", "unchecked-hash"),
)
_WITHOUT_PLACE: Final = """
import py_compile, sys
listed, root, place, level = sys.argv[1:]
failed = 0
with open(listed, encoding="utf-8") as lines:
    for name in lines.read().splitlines():
        try:
            py_compile.compile(
                name, dfile=place + name[len(root):], doraise=True, optimize=int(level),
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            failed = 1
sys.exit(failed)
"""
"""What compileall of Python 3.8 cannot be asked for: the place that a file will have."""
_SECONDS: Final = 900
_FULL: Final = "No space left on device"
"""compileall takes this for a source that does not compile."""
_UNCHECKED: Final = (1).to_bytes(4, "little")


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Compile every source with the target's own Python; one that does not compile stays source.

    Raises ToolError where the interpreter fails, or writes bytecode of another kind.
    """
    sources = [bundle.root / file.path for file in bundle.files if file.path.suffix == ".py"]
    packages, others = _split(bundle)
    _compile_all(packages, others, bundle.root, plan)
    magic = bytes.fromhex(index.magic(plan.interpreter))
    compiled = 0
    for source in sources:
        written = index.bytecode_of(source, plan.interpreter)
        if not written.is_file():
            _LOG.debug("Left as source: %s", source.relative_to(bundle.root))
            continue
        written.chmod(0o644)
        compiled += 1
        with written.open("rb") as file:
            if file.read(8) != magic + _UNCHECKED:
                raise ToolError(f"{written.name} is not unchecked-hash bytecode of this Python.")
    left, level = len(sources) - compiled, plan.request.slimming.optimize
    return account_for(
        bundle,
        PASS,
        proof=f"{compiled} of {len(sources)} sources have unchecked-hash bytecode of Python "
        f"{plan.interpreter.version}"
        + (f" at -O level {level}" if level else "")
        + (f"; {left} do not compile" if left else ""),
    )


def _compile_all(
    packages: list[list[FileRecord]], others: list[FileRecord], root: Path, plan: BuildPlan
) -> None:
    """Compile in as many processes as there are cores; what waits is dropped once one failed."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [pool.submit(_compile_once, each, root, plan) for each in packages]
        running.append(pool.submit(_compile, others, root, plan))
        try:
            for each in as_completed(running):
                each.result()
                check_wanted()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _split(bundle: Bundle) -> tuple[list[list[FileRecord]], list[FileRecord]]:
    """Sources of each large package, the largest first, and all others together.

    How an interpreter has shared strings so far decides bytes of what it writes next, so the same
    files are always compiled together, in one order, however many cores there are.
    """
    by_top: dict[str, list[FileRecord]] = {}
    for file in bundle.files:
        if file.path.suffix == ".py":
            top = file.path.parts[0]
            by_top.setdefault("" if top in {"model", "handlers"} else top, []).append(file)
    large = [files for top, files in by_top.items() if top and len(files) >= _KEPT_SOURCES]
    others = [each for files in by_top.values() if files not in large for each in files]
    return sorted(large, key=len, reverse=True), others


def _compile_once(files: list[FileRecord], root: Path, plan: BuildPlan) -> None:
    """Compile a package, or write what it came to in an earlier build."""

    def compute() -> bytes:
        _compile(files, root, plan)
        names = (index.bytecode_of(each.path, plan.interpreter).as_posix() for each in files)
        return pack_files(
            {name: (root / name).read_bytes() for name in names if (root / name).is_file()}
        )

    setting = (
        plan.interpreter.version,
        plan.request.slimming.optimize,
        str(_place(plan)),
        *_OPTIONS,
    )
    listed = [(file.path.as_posix(), file.sha256) for file in files]
    key = cache.make_key([setting, listed])
    for name, content in unpack_files(cache.remember("bytecode", key, compute)):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _place(plan: BuildPlan) -> PurePosixPath:
    """Tell where the tree will lie: tracebacks name it, whatever folder it was built in."""
    return plan.target.tree.root / plan.target.tree.home


def _list_options(plan: BuildPlan, root: Path) -> tuple[str, ...]:
    level = str(plan.request.slimming.optimize)
    return (*_OPTIONS, "-o", level, "-s", str(root), "-p", str(_place(plan)))


def _compile(files: Iterable[FileRecord], root: Path, plan: BuildPlan) -> None:
    sources = [root / file.path for file in files]
    if not sources:
        return
    with make_scratch("compile") as folder:
        listed = folder / "sources.txt"
        listed.write_text("".join(f"{source}\n" for source in sources), encoding="utf-8")
        done = _python(
            plan.interpreter,
            [
                *_list_options(plan, root),
                *("-i", str(listed)),
            ]
            if plan.interpreter.is_from(3, 9)
            else [
                *("-c", _WITHOUT_PLACE, str(listed), str(root), str(_place(plan))),
                str(plan.request.slimming.optimize),
            ],
        )
    if _FULL in done.stdout + done.stderr:
        raise StorageError(
            f"The disk is full: bytecode for {root} could not be written. Free space, or set "
            "TMPDIR to a larger disk."
        )
    if done.returncode not in {0, 1}:  # 1: some did not compile
        raise ToolError(f"compileall failed.\n{done.stderr.strip()[-2000:]}")
    if level := plan.request.slimming.optimize:
        # named as Python looks for it when it runs without -O
        for source in sources:
            written = index.bytecode_of(source, plan.interpreter)
            optimized = written.with_suffix(f".opt-{level}.pyc")
            if optimized.is_file():
                optimized.replace(written)


def _python(interpreter: Interpreter, arguments: list[str]) -> process.Done:
    return process.run(
        [interpreter.path, "-s", "-S", "-B", "-W", "ignore", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        timeout_seconds=_SECONDS,
        check=False,
    )


PASS: Final = Pass(
    name=PassName.BYTECODE,
    reason="without valid bytecode every cold start compiles what it imports and cannot keep it",
    apply=apply,
)
