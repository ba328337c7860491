"""Tests run in forks of one process, and in them those first that reach a line that was changed."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

Reached = dict[str, tuple[float, list[int]]]
"""Seconds that a test takes, and the lines of the module that it ran: by its node id."""

OURS: Final = frozenset({"packager", "handlers", "tests", "bench"})
_WARM: Final = ("numpy", "pandas", "yaml", "boto3", "mlflow", "sklearn")
"""Slow to import, and sound to fork after: what a test asked for is imported once for all."""
_ARGUMENTS: Final = (
    *("-x", "-q", "-n", "0", "-m", "not slow", "--no-header", "--no-summary", "--tb=no"),
    *("-p", "no:cacheprovider", "-p", "no:schemathesis"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what is imported before the fork
)


@dataclass(slots=True)
class Tracer:
    """A plugin of pytest that notes which lines of one file each test runs."""

    file: str
    reached: Reached = field(default_factory=dict)
    lines: set[int] = field(default_factory=set)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.lines = set()
        begun = time.perf_counter()
        with self._tracing():
            answer = yield
        self.reached[item.nodeid] = (time.perf_counter() - begun, sorted(self.lines))
        return answer

    @contextmanager
    def _tracing(self) -> Iterator[None]:
        sys.settrace(self._enter)
        threading.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._note if frame.f_code.co_filename == self.file else None

    def _note(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self.lines.add(frame.f_lineno)
        return self._note


@dataclass(slots=True)
class Order:
    """A plugin of pytest that runs tests first which reach the lines, the quickest of them first.

    None is left out: what a test reaches in another process, or by a fixture that is shared, is
    not known.
    """

    reached: Mapping[str, tuple[float, Sequence[int]]]
    lines: range

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=self._rank)

    def _rank(self, item: pytest.Item) -> tuple[bool, float]:
        seconds, ran = self.reached.get(item.nodeid, (0.0, ()))
        return not any(line in self.lines for line in ran), seconds


def trace(project: Path, module: str, tests: Sequence[str], note: Path) -> Reached | None:
    """What the tests reach of the module unchanged; None where they fail."""
    tracer = Tracer(str(project / module))

    def run() -> int:
        code = pytest.main([*_ARGUMENTS, *tests], plugins=[tracer])
        loaded = [name for name in _WARM if name in sys.modules]
        note.write_text(json.dumps([loaded, tracer.reached]), encoding="utf-8")
        return int(code)

    if _fork(project, run, seconds=600) != 0:
        return None
    loaded, reached = json.loads(note.read_text(encoding="utf-8"))
    for name in loaded:
        importlib.import_module(name)
    return {test: (seconds, lines) for test, (seconds, lines) in reached.items()}


def notice(
    project: Path, tests: Sequence[str], reached: Reached, lines: range, seconds: float
) -> bool:
    """Whether a test fails, or they do not end in the seconds given."""
    plugin = Order(reached, lines)
    code = _fork(
        project, lambda: int(pytest.main([*_ARGUMENTS, *tests], plugins=[plugin])), seconds
    )
    return code != 0


def _fork(project: Path, run: Any, seconds: float) -> int | None:
    """The status of `run` in a fork with modules of ours as the project has them; None: no end."""
    child = os.fork()
    if child == 0:
        _become(project)
        code = 70
        try:
            code = run()
        finally:
            os._exit(code)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        _end(child)
        os.waitpid(child, 0)
        return None
    finally:
        _end(child)


def _end(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _become(project: Path) -> None:
    os.setsid()
    os.chdir(project)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.path.insert(0, str(project))
    os.environ["PYTHONPATH"] = str(project)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
