"""Confinement of a function by its platform, out of facts, for a boot before deployment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from packager import facts
from packager.system.sandbox import (
    SHARED_MEMORY,
    Confinement,
    list_program_files,
    list_system_files,
)
from packager.types import Architecture, Interpreter

TMP: Final = "/tmp"  # noqa: S108 - the function's own, never this machine's
_MB: Final = 1 << 20


def confine(
    target: str,
    *,
    interpreter: Interpreter,
    architecture: Architecture,
    memory_mb: int | None,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    devices: Sequence[str] = (),
    network: bool = False,
    tmp_mb: int | None = None,
    facts_dir: Path | None = None,
) -> Confinement:
    """Confine as the target's platform does: only /tmp can be written, in the target's size.

    With `tmp_mb` it is of that size, as a deployment may ask for.

    Of this machine's programs and libraries they see those that the target has, and what
    `interpreter` is linked to. Raises FactsError, ToolError where that one does not start.
    """
    around = facts.surroundings(target, facts_dir)
    own_bytes = facts.limits(target, facts_dir).tmp_bytes
    scratch = {TMP: own_bytes if tmp_mb is None else tmp_mb * _MB}
    if around.shared_memory_bytes:
        scratch[SHARED_MEMORY] = around.shared_memory_bytes
    emulated = interpreter.emulated
    system = list_system_files(
        interpreter.path,
        _libraries(target, interpreter.minor, facts_dir),
        around.commands,
        drivers=bool(devices),
    )
    own = list_program_files(emulated.program) if emulated else ()
    return Confinement(
        readable=(*readable, *([emulated.root] if emulated else ())),
        system=tuple(sorted({*system, *own})),
        devices=tuple(devices),
        writable=tuple(writable),
        scratch=scratch,
        user=around.user,
        uid=around.uid,
        gid=around.gid,
        home=around.home,
        network=network,
        cpu_files=architecture in around.cpu_files,
        memory_bytes=None if memory_mb is None else memory_mb * _MB,
        processes=around.processes,
        open_files=around.open_files,
    )


def _libraries(target: str, minor: str, facts_dir: Path | None) -> frozenset[str]:
    """The system's libraries under that Python; what every runtime has where it is none of them."""
    runtimes = facts.runtimes(target, facts_dir)
    named = [each.libraries for each in runtimes if each.python_minor == minor]
    return frozenset.intersection(*(named or [each.libraries for each in runtimes]))
