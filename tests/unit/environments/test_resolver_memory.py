from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.environments import lockfile, resolver_memory, uv_command
from packager.environments.lockfile import Wanted
from packager.errors import IndexUnavailableError
from packager.system.process import Done
from packager.types import Interpreter

DONE = Done(returncode=0, stdout="", stderr="")
PYTHON = Interpreter(path=Path("/python3.13"), version="3.13.1", found_by="test")
WANTED = Wanted(
    requirements=("numpy==2.4.6",), interpreter=PYTHON, platform="x86_64-manylinux_2_34"
)


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_memory, "_ANSWERS", {})


class Resolver:
    """Stands for uv: refuses `gone` lines, and counts."""

    def __init__(self, *gone: str) -> None:
        self.gone = {*gone}
        self.asked: list[tuple[str, ...]] = []

    def run_pip(self, verb: str, arguments: Any, *, stdin: bytes, **_: Any) -> Done:
        lines = tuple(stdin.decode().splitlines())
        self.asked.append(lines)
        return replace(DONE, returncode=0 if self.gone.isdisjoint(lines) else 1)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    found = Resolver("line37==1", "line90==1")
    monkeypatch.setattr(uv_command, "run_pip", found.run_pip)
    return found


def test_one_question_is_asked_once(resolver: Resolver) -> None:
    assert lockfile.lock(WANTED) == lockfile.lock(WANTED)
    # the same wheels, whichever Python runs the resolver
    lockfile.lock(replace(WANTED, interpreter=replace(PYTHON, path=Path("/other/python3.13"))))
    assert len(resolver.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"constraints": ("numpy<3",)},
        {"excluded": ("pandas",)},
        {"overrides": ("pandas==2.3.2",)},
        {"options": ("--extra-index-url https://example.org/simple",)},
        {"platform": "aarch64-manylinux_2_34"},
        {"python_minor": "3.12"},
        {"requirements": ("numpy==2.4.5",)},
    ],
)
def test_another_question_is_asked(change: dict[str, Any], resolver: Resolver) -> None:
    lockfile.lock(WANTED)
    lockfile.lock(replace(WANTED, **change))
    assert len(resolver.asked) == 2


@pytest.mark.parametrize(
    "change", [{"requirements": ("code/own.whl",)}, {"options": ("--find-links wheels",)}]
)
def test_files_are_read_each_time(
    change: dict[str, Any], resolver: Resolver, tmp_path: Path
) -> None:
    wanted = replace(WANTED, base=tmp_path, **change)
    assert lockfile.lock(wanted) == lockfile.lock(wanted)
    assert len(resolver.asked) == 2


def test_an_index_that_failed_is_asked_again() -> None:
    def fail() -> Done:
        raise IndexUnavailableError("no answer")

    with pytest.raises(IndexUnavailableError):
        resolver_memory.ask_once("q", fail)
    assert resolver_memory.ask_once("q", lambda: DONE) is DONE


def test_an_answer_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolver_memory.ask_once("q", lambda: DONE) is DONE
    monkeypatch.setattr(resolver_memory, "_SECONDS", -1.0)
    other = replace(DONE, stdout="newer")
    assert resolver_memory.ask_once("q", lambda: other) is other


def test_who_asks_meanwhile_waits() -> None:
    started, go = threading.Event(), threading.Event()

    def ask() -> Done:
        started.set()
        go.wait(10)
        return DONE

    def refuse() -> Done:
        raise AssertionError("it is asked already")

    answers: list[Done] = []
    first = threading.Thread(target=lambda: answers.append(resolver_memory.ask_once("q", ask)))
    first.start()
    started.wait(10)
    second = threading.Thread(target=lambda: answers.append(resolver_memory.ask_once("q", refuse)))
    second.start()
    go.set()
    for each in (first, second):
        each.join(10)
    assert answers == [DONE, DONE]


def test_lines_without_a_wheel_are_found_in_few_runs(resolver: Resolver) -> None:
    lines = tuple(f"line{number}==1" for number in range(114))
    wanted = replace(WANTED, requirements=lines)
    assert lockfile.unavailable(wanted) == ("line37==1", "line90==1")
    assert len(resolver.asked) < 30
    resolver.asked.clear()
    assert lockfile.unavailable(replace(wanted, constraints=("a<1",))) == ("line37==1", "line90==1")
    assert resolver.asked == []


@pytest.mark.parametrize("lines", [(), ("numpy==2.4.6",)])
def test_nothing_is_missing(lines: tuple[str, ...], resolver: Resolver) -> None:
    assert lockfile.unavailable(replace(WANTED, requirements=lines)) == ()
