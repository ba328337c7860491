"""Bytecode that is valid where it lands: a read-only folder whose files have other dates.

Python takes bytecode by its source's date by default, which a zip with fixed dates never matches:
every cold start would compile everything anew and could write none of it down. Unchecked-hash
bytecode (PEP 552) is taken as it is.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from packager.errors import StorageError, ToolError
from packager.pipeline.slim.passes import Pass, accounted
from packager.pipeline.slim.storing import index
from packager.system import file_tree, process
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, Bundle, Interpreter

_LOG = logging.getLogger(__name__)

_SHARDS: Final = 4
"""Fixed: how an interpreter has shared strings so far decides bytes of what it writes next, so the
same files must always be compiled together, in one order, however many cores there are."""
_SECONDS: Final = 900
_FULL: Final = "No space left on device"
"""compileall takes this for a source that does not compile."""
_UNCHECKED: Final = (1).to_bytes(4, "little")


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Compile every source with the target's own Python; one that does not compile stays source.

    Raises ToolError where the interpreter fails, or writes bytecode of another kind.
    """
    sources = [bundle.root / path for path in file_tree.walk(bundle.root) if path.suffix == ".py"]
    shards = [sources[start::_SHARDS] for start in range(_SHARDS)]
    with ThreadPoolExecutor(max_workers=min(_SHARDS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(lambda shard: _compile(shard, bundle.root, plan), shards):
            pass
    magic = bytes.fromhex(index.magic(plan.interpreter))
    compiled = 0
    for source in sources:
        written = index.bytecode_of(source, plan.interpreter)
        if level := plan.request.optimize:
            # named as Python looks for it when it runs without -O
            optimized = written.with_suffix(f".opt-{level}.pyc")
            if optimized.is_file():
                optimized.replace(written)
        if not written.is_file():
            _LOG.debug("Left as source: %s", source.relative_to(bundle.root))
            continue
        written.chmod(0o644)
        compiled += 1
        with written.open("rb") as file:
            if file.read(8) != magic + _UNCHECKED:
                raise ToolError(f"{written.name} is not unchecked-hash bytecode of this Python.")
    left = len(sources) - compiled
    return accounted(
        bundle,
        PASS,
        proof=f"{compiled} of {len(sources)} sources have unchecked-hash bytecode of Python "
        f"{plan.interpreter.version}"
        + (f" at -O level {plan.request.optimize}" if plan.request.optimize else "")
        + (f"; {left} do not compile" if left else ""),
    )


def _compile(sources: list[Path], root: Path, plan: BuildPlan) -> None:
    """Tracebacks name where the tree will lie, whatever folder it was built in."""
    if not sources:
        return
    lies = plan.target.root / plan.target.home
    with make_scratch("compile") as folder:
        listed = folder / "sources.txt"
        listed.write_text("".join(f"{source}\n" for source in sources), encoding="utf-8")
        done = _python(
            plan.interpreter,
            [
                # columns serve the underlining in tracebacks alone: a fifth of it, zipped
                *("-X", "no_debug_ranges", "-m", "compileall", "-q", "-f"),
                *("-o", str(plan.request.optimize), "-s", str(root), "-p", str(lies)),
                *("--invalidation-mode", "unchecked-hash", "-i", str(listed)),
            ],
        )
    if _FULL in done.stdout + done.stderr:
        raise StorageError(f"The disk is full: bytecode for {root} could not be written.")
    if done.returncode not in {0, 1}:  # 1: some did not compile
        raise ToolError(f"compileall failed.\n{done.stderr.strip()[-2000:]}")


def _python(interpreter: Interpreter, arguments: list[str]) -> process.Done:
    return process.run(
        [interpreter.path, "-s", "-S", "-B", "-W", "ignore", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        timeout_seconds=_SECONDS,
        check=False,
    )


PASS: Final = Pass(
    name="bytecode",
    reason="without valid bytecode every cold start compiles what it imports and cannot keep it",
    apply=apply,
)
