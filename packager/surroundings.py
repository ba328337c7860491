"""How a target's platform confines a function, out of facts: what a boot before deployment gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from packager import facts
from packager.sandbox import SHARED_MEMORY, Confinement
from packager.types import Architecture

TMP: Final = "/tmp"  # noqa: S108 - the function's own, never this machine's
_MB: Final = 1 << 20


def confine(
    target: str,
    *,
    architecture: Architecture,
    memory_mb: int | None,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    network: bool = False,
    facts_dir: Path | None = None,
) -> Confinement:
    """What the target's functions are allowed: only /tmp can be written, in the target's size.

    Raises FactsError.
    """
    around = facts.surroundings(target, facts_dir)
    scratch = {TMP: facts.limits(target, facts_dir).tmp_bytes}
    if around.shared_memory_bytes:
        scratch[SHARED_MEMORY] = around.shared_memory_bytes
    return Confinement(
        readable=tuple(readable),
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
