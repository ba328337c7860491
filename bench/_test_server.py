"""Collect the tests once, and run them in forks of that process, with a mutant or without."""

from __future__ import annotations

import ast
import gc
import importlib
import itertools
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest

from bench._mutants import Mutant
from bench._patch import (
    OURS,
    ImportAnewError,
    apply_mutant,
    is_in_function,
    list_functions,
    replace_functions,
)
from bench._reached import (
    REACHED,
    Run,
    list_lines,
    mark_lines,
    order_tests,
    read_cpu_seconds,
)
from packager.errors import ToolError

ARGUMENTS: Final = (
    *("-q", "-n", "0", "-m", "not slow or few", "--no-header", "--no-summary", "--tb=no"),
    *("-p", "no:cacheprovider", "-p", "no:schemathesis"),
)
_TRACE_SECONDS: Final = 1800
_ANEW_SECONDS: Final = 600
_SLOWEST: Final = 4.0
"""Times what the tests take unchanged: a mutant that takes more loops, and is noticed."""
_LEAST: Final = 5.0
_WAITING: Final = 10.0
"""Seconds that pass, of a machine that does other things too, for one of CPU."""
_MEMORY_BYTES: Final = 8 << 30
_BROKEN: Final = 70
_MUST_IMPORT_ANEW: Final = 71
"""Statuses that no pytest ends with."""


@dataclass(slots=True)
class TestServer:
    """Runs tests of a copy of the project. Only `serve` makes one."""

    __test__ = False  # not for pytest to collect

    project: Path
    items: Mapping[str, pytest.Item]
    """By node id, in the order in which they were collected."""
    functions: Mapping[str, list[FunctionType]]
    runs: Mapping[str, Run] = field(default_factory=dict)
    turn: int = 0

    def trace(self) -> None:
        """Run every test once, on functions that were replaced as a mutant's are.

        Raises ToolError where that comes to no end.
        """
        note = self.project / "reached.json"
        self._fork(lambda: self._trace_into(note), _TRACE_SECONDS, _TRACE_SECONDS)
        if not note.is_file():
            raise ToolError("The tests came to no end before anything was changed.")
        runs = json.loads(note.read_text(encoding="utf-8"))
        self.runs = {name: Run(**run) for name, run in runs.items()}

    def list_failures(self) -> list[str]:
        """Tests that fail before anything is changed, which no mutant is asked."""
        return [name for name, run in self.runs.items() if not run.passed]

    def notice(self, module: str, mutant: Mutant, tests: Sequence[str]) -> bool:
        """Whether a test of the files given fails on the mutant, or comes to no end.

        Raises ToolError where it could not be tried.
        """
        file = self.project / module
        own = file.read_text(encoding="utf-8")
        tree = ast.parse(own)
        runs = {name: run for name, run in self.runs.items() if name.partition("::")[0] in tests}
        lines = range(mutant.line, mutant.last_line + 1)
        elsewhere = not is_in_function(tree, mutant.tree)
        chosen = order_tests(runs, module, lines, everywhere=elsewhere)
        seconds = _LEAST + _SLOWEST * sum(runs[name].seconds for name in chosen)

        def run() -> int:
            try:
                apply_mutant(
                    sys.modules[_name_module(module)], tree, mutant.tree, self.functions[str(file)]
                )
            except ImportAnewError:
                return _MUST_IMPORT_ANEW
            return self._run_tests([self.items[each] for each in chosen])

        self._write(file, mutant.text)  # for what tests start or import anew
        try:
            code = self._fork(run, seconds, seconds * _WAITING)
            if code == _MUST_IMPORT_ANEW:
                files = [each for each in tests if (self.project / each).is_file()]
                code = self._fork(lambda: self._start(files), _ANEW_SECONDS, _ANEW_SECONDS)
        finally:
            self._write(file, own)
        if code == _BROKEN:
            raise ToolError(f"{module}, {mutant.name}: the mutant could not be put in place.")
        return code != 0

    def _write(self, file: Path, text: str) -> None:
        """Each time with another time of change, which is what bytecode is kept by."""
        file.write_text(text, encoding="utf-8")
        self.turn += 1
        os.utime(file, (1_000_000_000 + self.turn, 1_000_000_000 + self.turn))

    def _trace_into(self, note: Path) -> int:
        reached, runs = self._mark_modules(), {}
        for at, (name, item) in enumerate(items := [*self.items.items()]):
            following = items[at + 1][1] if at + 1 < len(items) else None
            begun, failed = read_cpu_seconds(), item.session.testsfailed
            for spans in reached.values():
                spans.clear()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            lines = {module: list_lines(spans) for module, spans in reached.items() if spans}
            passed = item.session.testsfailed == failed
            runs[name] = asdict(Run(read_cpu_seconds() - begun, lines, passed))
        note.write_text(json.dumps(runs), encoding="utf-8")
        return 0

    def _mark_modules(self) -> dict[str, set[tuple[int, int]]]:
        """Have every module note what runs of it: the spans of lines, by its path."""
        reached: dict[str, set[tuple[int, int]]] = {}
        for file, functions in self.functions.items():
            path = Path(file).relative_to(self.project).as_posix()
            module = sys.modules[_name_module(path)]
            vars(module)[REACHED] = reached[path] = set()
            tree = ast.parse(Path(file).read_text(encoding="utf-8"))
            replace_functions(module, mark_lines(tree), functions)
        return reached

    def _run_tests(self, items: Sequence[pytest.Item]) -> int:
        for item, following in itertools.zip_longest(items, items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.session.testsfailed:
                return 1
        return 0

    def _start(self, tests: Sequence[str]) -> int:
        """Become another pytest."""
        os.execv(sys.executable, [sys.executable, "-m", "pytest", "-x", *ARGUMENTS, *tests])  # noqa: S606

    def _fork(self, run: Callable[[], int], cpu_seconds: float, seconds: float) -> int | None:
        """The status of `run` in a fork; None: no end within the seconds."""
        child = os.fork()
        if child == 0:
            code, errors = _BROKEN, os.dup(2)
            try:
                os.setsid()
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                _discard_output()
                bound = int(cpu_seconds + read_cpu_seconds()) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (bound, bound))
                resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
                code = run()
            except BaseException:  # a fork that raised further would run its parent's code
                os.write(errors, traceback.format_exc().encode())
                raise
            finally:
                os._exit(code)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.01)
            _end(child)
            os.waitpid(child, 0)
            return None
        finally:
            _end(child)


def serve(
    project: Path, modules: Iterable[str], tests: Iterable[str], work: Callable[[TestServer], None]
) -> None:
    """Collect the tests in a fork that has the project's modules, and hand them to `work` there.

    Raises ToolError where that ended otherwise than it should.
    """
    child = os.fork()
    if child == 0:
        code = _BROKEN
        try:
            _become(project)
            code = _collect(project, [*modules], [*tests], work)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _pid, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise ToolError(f"The tests could not be collected or asked: pytest ended with {code}.")


def _collect(
    project: Path, modules: Sequence[str], tests: Sequence[str], work: Callable[[TestServer], None]
) -> int:
    class Plugin:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(self, session: pytest.Session) -> bool:
            if session.testsfailed:
                return False
            for module in modules:
                importlib.import_module(_name_module(module))
            functions = list_functions(str(project / module) for module in modules)
            items = {item.nodeid: item for item in session.items}
            # a mutant of `os.kill(parent, 0)` hangs up on this process
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            gc.collect()
            gc.freeze()  # so that forks share what was made before them
            work(TestServer(project, items, functions))
            return True

    return int(pytest.main([*ARGUMENTS, "-s", *tests], plugins=[Plugin()]))


def _become(project: Path) -> None:
    os.chdir(project)
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.path.insert(0, str(project))
    os.environ["PYTHONPATH"] = str(project)
    importlib.invalidate_caches()


def _name_module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _discard_output() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)


def _end(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
