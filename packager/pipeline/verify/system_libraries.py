"""Name this machine's libraries that the registered model had and the function does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packager.system import elf, sandbox
from packager.types import BuildPlan, Bundle, Finding, Interpreter


def list_used(mapped: Sequence[str], interpreter: Interpreter) -> tuple[str, ...]:
    """The names, as they are asked for, of `mapped` files that Python itself does not run on.

    Raises ToolError where that Python does not start.
    """
    if not mapped:
        return ()
    own = _list_own(interpreter, frozenset())
    found = {_read_name(Path(path)) for path in mapped if Path(path).name not in own}
    return tuple(sorted(found - own))


def list_lacking(bundle: Bundle, plan: BuildPlan) -> tuple[str, ...]:
    """Those of the plan's that neither the platform nor the bundle brings.

    Raises ToolError where the target's Python does not start.
    """
    if not plan.system_libraries:
        return ()
    brought = {file.path.name for file in bundle.files}
    brought |= _list_own(plan.interpreter, plan.runtime.libraries)
    return tuple(name for name in plan.system_libraries if name not in brought)


def describe_lacking(lacking: Sequence[str]) -> str:
    """A sentence for evidence.json and for a failure; "" where nothing is lacking."""
    if not lacking:
        return ""
    them = "it" if len(lacking) == 1 else "them"
    return (
        f"The registered model loaded {', '.join(lacking)} from this machine's system, and the "
        f"function does not have {them}."
    )


def name_origin(findings: Sequence[Finding], lacking: Sequence[str]) -> list[Finding]:
    """The findings, with what the registered model had of this machine.

    It is said where a finding names such a library, else with the first one: a library that is
    looked for by ctypes.util.find_library is named nowhere.
    """
    if not lacking or not findings:
        return list(findings)
    named = [any(name in f"{each}" for name in lacking) for each in findings]
    at = named.index(True) if True in named else 0
    told = replace(findings[at], hint=f"{findings[at].hint} {describe_lacking(lacking)}".strip())
    return [*findings[:at], told, *findings[at + 1 :]]


def _list_own(interpreter: Interpreter, libraries: frozenset[str]) -> frozenset[str]:
    files = sandbox.list_system_files(interpreter.path, libraries, ())
    return libraries | frozenset(path.name for path in files)


def _read_name(path: Path) -> str:
    """The SONAME, by which others ask for it; the file's name where it has none."""
    try:
        return elf.read(path).soname or path.name
    except (OSError, ValueError):
        return path.name
