"""Run what loads the registered model: confined to a machine like its author's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from packager.environments import surroundings, virtual_environments
from packager.system import process, sandbox
from packager.types import BESIDE

HOME: Final = Path("/home/author")
"""Of the program that loads the model; never a folder of this machine."""
_MEMORY_SHARE: Final = 0.9
_PROCESSES: Final = 16384
_OPEN_FILES: Final = 65536
_LOOK_SECONDS: Final = 0.02
_KILLED_AGAIN_SECONDS: Final = 0.05


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


class WaitingRun:
    """A program that loads the model once, and then waits to be told the rest of its work.

    `run` starts it and returns, or raises, when it has ended; it is called in a thread. The program
    looks for the file `told`, which appears whole; an empty one has it end without more work.
    """

    def __init__(self, run: Callable[[], None], told: Path, name: str) -> None:
        self._told = told
        self._pool = ThreadPoolExecutor(1, f"{BESIDE}-{name}")
        self._run = self._pool.submit(run)

    def wait_for(self, path: Path) -> bool:
        """Wait until the program has written `path`; False where it ended without."""
        while True:
            has_ended = self._run.done()
            is_there = path.is_file() and not path.is_symlink()
            if is_there or has_ended:
                return is_there
            time.sleep(_LOOK_SECONDS)

    def tell(self, text: str) -> None:
        """Tell it the rest of its work. Raises OSError where the disk is full."""
        written = self._told.with_name(f".{self._told.name}")
        written.write_text(text, encoding="utf-8")
        written.rename(self._told)

    def join(self) -> None:
        """Wait for its end. Raises what `run` raised."""
        self._run.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it where it still waits, and wait for its end, whose time is its own.

        An interrupt ends it in the middle of its work.
        """
        if not self._run.done():
            self.tell("")
        if kind is None or issubclass(kind, Exception):
            wait([self._run])
        while not self._run.done():
            process.kill_current()
            wait([self._run], _KILLED_AGAIN_SECONDS)
        self._pool.shutdown()
