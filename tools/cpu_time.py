"""A plugin of pytest: `make test-cost` prints the processor time that each test file takes.

Time on the clock depends on what else the machine does; processor time does so far less. Programs
that a test started and waited for are counted with it. Nothing fails by what is measured.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from typing import Any, Final

import pytest

SHOWN: Final = 25


def read_cpu_seconds() -> float:
    """Seconds of processor time of this process and of those it started and waited for."""
    return sum(os.times()[:4])


class CpuTime:
    """What a process counts; the one that distributes tests adds up what all of them report."""

    def __init__(self) -> None:
        self.before = read_cpu_seconds()
        self.collected: list[float] = []
        self.files: Counter[str] = Counter()
        self.tests: Counter[str] = Counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.before = read_cpu_seconds()
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["cpu_seconds"] = self.before
        else:
            self.collected.append(self.before)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now = read_cpu_seconds()
        vars(report)["cpu_seconds"] = now - self.before
        self.before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = vars(report).get("cpu_seconds", 0.0)
        self.files[report.nodeid.partition("::")[0]] += spent
        self.tests[report.nodeid] += spent

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.collected.append(node.workeroutput["cpu_seconds"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        line = terminalreporter.write_line
        begun = " + ".join(f"{each:.1f}" for each in self.collected)
        line(f"\nprocessor seconds: {self.files.total():.1f} in tests, {begun} before the first")
        for title, counted in (("files", self.files), ("tests", self.tests)):
            line(f"the {SHOWN} {title} that take most of them")
            for name, seconds in counted.most_common(SHOWN):
                line(f"{seconds:8.2f}  {name}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CpuTime(), "cpu_time")
