"""Run what loads the registered model: confined to a machine like its author's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from packager.environments import surroundings, virtual_environments
from packager.system import process, sandbox

HOME: Final = Path("/home/author")
"""Of the program that loads the model; never a folder of this machine."""
_MEMORY_SHARE: Final = 0.9
_PROCESSES: Final = 16384
_OPEN_FILES: Final = 65536


def run(
    argv: Sequence[str | Path],
    *,
    readable: Sequence[Path],
    writable: Sequence[Path] = (),
    network: bool,
    timeout_seconds: float,
    more: Mapping[str, str] | None = None,
    check: bool = True,
) -> process.Done:
    """Run a program that loads a registered model, confined to a machine like its author's.

    Its home and its temporary folder are empty at first and gone at the end. `more` is added to
    its environment. Raises SandboxError where it ran into a limit, ToolError where it runs past
    `timeout_seconds` or (with `check`) exits other than 0.
    """
    return sandbox.run(
        argv,
        inside=confine(readable=readable, writable=writable, network=network),
        cwd=HOME,
        env={**virtual_environments.variables(HOME), **(more or {})},
        timeout_seconds=timeout_seconds,
        check=check,
    )


def serve(
    argv: Sequence[str | Path],
    *,
    readable: Sequence[Path],
    network: bool,
    env: Mapping[str, str],
    pass_fds: Sequence[int],
) -> int:
    """Run a server over a model with this terminal's output, confined as `run` confines.

    It listens on the sockets `pass_fds`. Returns its exit code, negative for a signal. Raises
    SandboxError where it ran into a limit, ToolError where it cannot be started.
    """
    return sandbox.foreground(
        argv,
        inside=confine(readable=readable, writable=(), network=network),
        cwd=HOME,
        env=env,
        pass_fds=pass_fds,
    )


def confine(
    *, readable: Sequence[Path], writable: Sequence[Path], network: bool
) -> sandbox.Confinement:
    """Confine to what a model's author has: a home, shared memory, devices, most of the memory."""
    memory = sandbox.machine_memory_bytes()
    places = (str(HOME), surroundings.TMP, sandbox.SHARED_MEMORY)
    return sandbox.Confinement(
        readable=tuple(readable),
        writable=tuple(writable),
        scratch=dict.fromkeys(places, memory // 2),
        variables={"HOME": str(HOME), "TMPDIR": surroundings.TMP},
        user="author",
        uid=1000,
        gid=1000,
        home=str(HOME),
        network=network,
        devices=sandbox.gpu_devices(),
        memory_bytes=int(memory * _MEMORY_SHARE),
        processes=_PROCESSES,
        open_files=_OPEN_FILES,
    )


def protections(*, network: bool) -> tuple[str, ...]:
    """List what holds on this machine while the model is asked, a sentence each."""
    return sandbox.describe(confine(readable=(), writable=(), network=network))
