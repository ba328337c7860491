"""Owner of a program that a function runs in: how it is started, watched and ended."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from packager.system import procfs
from packager.system.redaction import take_end
from packager.system.sandbox import Confined, Confinement, describe, how_read_only
from packager.system.scratch import make_scratch

_LOG_TAIL: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStats:
    """State of the function's process as it stands; zero where it has ended."""

    init_wall_ms: float
    cpu_ms: float
    """User plus system time since the process started."""
    peak_rss_bytes: int


class ConfinedProgram(ABC):
    """A context manager: inside it the program is up, after it nothing of it is left."""

    def __init__(self, folder: Path, *, purpose: str) -> None:
        """`folder` is the function's, `purpose` names the scratch folder."""
        self._folder = folder.absolute()
        self._purpose = purpose
        self._last_log = ""
        self._stack = contextlib.ExitStack()
        self.read_only = how_read_only()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._scratch = stack.enter_context(make_scratch(self._purpose))
            self._log = self._scratch / "log"
            self._boot_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @abstractmethod
    def _boot_up(self, stack: contextlib.ExitStack) -> None:
        """Start it by `_start` and wait for it; `stack` closes what it needs beside."""

    @abstractmethod
    def _confine(self, more: Sequence[Path] = ()) -> Confinement:
        """Return what holds it; it can read `more` beside the function's folder."""

    def _start(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        readable: Sequence[Path] = (),
    ) -> None:
        self._confined = Confined(
            argv, inside=self._confine(readable), cwd=self._folder, env=env, log=self._log
        )

    def _end(self) -> None:
        """End it with all that it started, and keep its log."""
        self._confined.close()
        self._last_log = self.log()

    def _find_process(self) -> int | None:
        """Return the process that is measured; None where it has ended."""
        return next(iter(self._confined.members()), None)

    @abstractmethod
    def _measure_init_ms(self) -> float:
        """Return how long it took until it was ready."""

    def stats(self) -> ProcessStats:
        pid = self._find_process()
        return ProcessStats(
            init_wall_ms=self._measure_init_ms(),
            cpu_ms=0.0 if pid is None else procfs.cpu_ms(pid),
            peak_rss_bytes=0 if pid is None else procfs.peak_rss_bytes(pid),
        )

    def log(self) -> str:
        """Everything that it wrote; still there when it has ended."""
        if not self._log.is_file():
            return self._last_log
        return self._log.read_text(encoding="utf-8", errors="replace")

    def read_exceeded(self) -> str:
        """The limit for which it was killed, in a sentence; empty where it was not."""
        limit = self._confined.read_exceeded()
        return "" if limit is None else f"{limit}"

    def protections(self) -> tuple[str, ...]:
        """List the protections that hold it here, a sentence each."""
        return describe(self._confine())

    def _read_tail(self) -> str:
        return take_end(self.log(), _LOG_TAIL)
