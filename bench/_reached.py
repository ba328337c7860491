"""Which lines of the modules each test runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

MUCH: Final = 20.0
"""Seconds of CPU after which the tests that do not reach a line are left out."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one test did while nothing was changed."""

    seconds: float
    """CPU, of its child processes too."""
    lines: Mapping[str, Sequence[int]]
    """By the module's path from the project's root; those of this process alone."""
    passed: bool = True


@dataclass(slots=True)
class Tracer:
    """Notes which lines run of the files given."""

    files: frozenset[str]
    lines: dict[str, set[int]] = field(default_factory=dict)

    @contextmanager
    def trace(self) -> Iterator[None]:
        self.lines = {}
        sys.settrace(self._enter)
        threading.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._note if frame.f_code.co_filename in self.files else None

    def _note(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self._note


def read_cpu_seconds() -> float:
    """Of this process and of those children that have ended."""
    return sum(os.times()[:4])


def order_tests(
    runs: Mapping[str, Run], module: str, lines: range, *, everywhere: bool
) -> list[str]:
    """Node ids of the tests for a change: those that reach it first, the quickest of them first.

    The others follow, as what a test reaches in another process, or by a fixture that is shared, is
    not known; they are left out where they take MUCH. Where `everywhere` is true the change is not
    in a function: whatever runs any line of the module reaches it. Tests that fail unchanged are
    left out.
    """
    near: list[str] = []
    far: list[str] = []
    for name, run in sorted(runs.items(), key=lambda each: each[1].seconds):
        if not run.passed:
            continue
        ran = run.lines.get(module, ())
        reaches = bool(ran) if everywhere else any(line in lines for line in ran)
        (near if reaches else far).append(name)
    return near + (far if sum(runs[name].seconds for name in far) < MUCH else [])
