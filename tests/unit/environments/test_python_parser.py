"""Threads of a build read requirements; some releases of Python parse in one thread at a time."""

from __future__ import annotations

import ast
import builtins
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from packager.environments import python_parser
from packager.models.code_imports import parse_source

_THREADS = 4


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start from the parser as this Python has it, and leave what was there."""
    parse = getattr(ast.parse, "__wrapped__", ast.parse)
    monkeypatch.setattr(ast, "parse", parse)
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)
    python_parser._hold_apart.cache_clear()
    yield
    python_parser._hold_apart.cache_clear()


class _Compiler:
    """Stands for `compile` in `ast`: it lets every other thread run, and counts those inside."""

    def __init__(self) -> None:
        self.inside, self.most, self.calls = 0, 0, 0
        self._lock = threading.Lock()

    def __call__(self, *args: object, **named: object) -> object:
        with self._lock:
            self.inside += 1
            self.calls += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.05)
        try:
            return builtins.compile(*args, **named)  # type: ignore[call-overload]
        finally:
            with self._lock:
                self.inside -= 1


def _parse_at_once(monkeypatch: pytest.MonkeyPatch) -> _Compiler:
    compiler, barrier = _Compiler(), threading.Barrier(_THREADS, timeout=30)
    monkeypatch.setattr(ast, "compile", compiler, raising=False)

    def parse(number: int) -> None:
        barrier.wait()
        if number % 2:
            parse_source(b"import json")
        else:
            Requirement("tzdata; sys_platform == 'win32'")

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(parse, range(_THREADS)))
    assert compiler.calls == _THREADS
    return compiler


@pytest.mark.usefixtures("unlocked")
@pytest.mark.parametrize("version", [(3, 11, 0), (3, 11, 7)])
def test_one_thread_at_a_time_parses_where_python_keeps_one_depth(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_parser, "sys", SimpleNamespace(version_info=version))
    python_parser.lock_parser()
    locked = ast.parse
    python_parser.lock_parser()
    assert ast.parse is locked
    assert _parse_at_once(monkeypatch).most == 1


@pytest.mark.usefixtures("unlocked")
def test_threads_parse_at_once_where_python_can(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = ast.parse
    monkeypatch.setattr(python_parser, "is_shared_by_threads", lambda _: False)
    python_parser.lock_parser()
    assert ast.parse is parse
    assert _parse_at_once(monkeypatch).most > 1


@pytest.mark.parametrize(
    ("version", "is_shared"),
    [
        ((3, 11, 0), True),
        ((3, 11, 7), True),
        ((3, 11, 8), False),
        ((3, 12, 0), False),
        ((3, 13, 0), False),
        ((3, 14, 1), False),
    ],
)
def test_releases_that_keep_one_depth(version: tuple[int, int, int], *, is_shared: bool) -> None:
    assert python_parser.is_shared_by_threads(version) == is_shared
