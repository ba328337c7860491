"""The resolver's answers of the last day: taken by the next build, and never to refuse one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.environments import lockfile, resolver_memory, uv_command
from packager.environments.lockfile import Wanted
from packager.errors import PlanError, ToolError
from packager.pipeline import build
from packager.pipeline.plan import _plan
from packager.system.process import Done
from packager.types import Interpreter, make_request

PYTHON = Interpreter(path=Path("/python3.13"), version="3.13.1", found_by="test")
WANTED = Wanted(requirements=("numpy",), interpreter=PYTHON, platform="x86_64-manylinux_2_34")
LOCK = """lock-version = "1.0"
[[packages]]
name = "numpy"
version = "{}"
"""
IS_KEPT = resolver_memory._is_kept


class Resolver:
    """Stands for uv and its index, whose newest numpy is `newest`."""

    def __init__(self) -> None:
        self.newest, self.asked, self.code = "2.4.6", 0, 0
        self.address = ""

    def run_pip(self, *_: object, **__: object) -> Done:
        self.asked += 1
        text = LOCK.format(self.newest) + self.address
        return Done(returncode=self.code, stdout=text, stderr="no wheel" if self.code else "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resolver:
    found = Resolver()
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(uv_command, "run_pip", found.run_pip)
    monkeypatch.setattr(resolver_memory, "_is_kept", IS_KEPT)
    return found


@pytest.fixture(autouse=True)
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what begins another process, which has asked and taken nothing yet."""

    def start() -> None:
        for name, empty in (("_ANSWERS", {}), ("_TAKEN", {}), ("_DROPPED", set())):
            monkeypatch.setattr(resolver_memory, name, empty)

    start()
    return start


def _version(wanted: Wanted = WANTED) -> str | None:
    return lockfile.lock(wanted).version("numpy")


def test_the_next_process_asks_nothing(index: Resolver, begin: Callable[[], None]) -> None:
    assert (_version(), resolver_memory.explain_age()) == ("2.4.6", "")
    begin()
    index.newest = "2.4.7"
    assert (_version(), index.asked) == ("2.4.6", 1)
    assert time.strftime("had them at %Y-%m-%d") in resolver_memory.explain_age()


def test_an_answer_is_too_old_after_a_day(
    index: Resolver, begin: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    _version()
    begin()
    index.newest, now = "2.4.7", time.time()
    monkeypatch.setattr(time, "time", lambda: now + resolver_memory.KEPT_HOURS * 3600 + 1)
    assert (_version(), resolver_memory.explain_age()) == ("2.4.7", "")
    begin()
    monkeypatch.setattr(time, "time", lambda: now - 3600)  # its clock was wrong
    assert _version() == "2.4.7"
    assert index.asked == 3


@pytest.mark.parametrize(
    "change",
    [
        {"constraints": ("numpy<3",)},
        {"platform": "aarch64-manylinux_2_34"},
        {"options": ("--extra-index-url https://example.org/simple",)},
        {"platform": None},
        {"platform": None, "interpreter": replace(PYTHON, version="3.13.2")},
    ],
)
def test_another_question_is_asked(
    change: dict[str, Any], index: Resolver, begin: Callable[[], None]
) -> None:
    _version()
    _version(replace(WANTED, platform=None))
    begin()
    asked = index.asked
    _version(replace(WANTED, **change))
    assert index.asked == asked + (change != {"platform": None})


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:3141/simple",
        "http://u:p@127.0.0.1/x",
        "https://[::1]:80/simple",
        "file:///srv/simple",
    ],
)
def test_an_index_on_this_machine_is_always_asked(
    address: str, index: Resolver, begin: Callable[[], None]
) -> None:
    wanted = replace(WANTED, options=(f"--index-url {address}",))
    _version(wanted)
    begin()
    _version(wanted)
    assert index.asked == 2


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL"])
def test_an_index_that_is_a_folder_is_always_asked(
    name: str, index: Resolver, begin: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/srv/simple")
    _version()
    begin()
    _version()
    assert index.asked == 2


def test_an_index_beyond_a_proxy_on_this_machine_is_not(
    index: Resolver, begin: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    wanted = replace(WANTED, options=("--index-url https://localhost.example.org/simple",))
    _version(wanted)
    begin()
    _version(wanted)
    assert index.asked == 1


def test_whoever_wants_it_new_gets_it_new(index: Resolver, begin: Callable[[], None]) -> None:
    _version()
    begin()
    index.newest = "2.4.7"
    with resolver_memory.asking_index(anew=True):
        assert _version() == "2.4.7"
    begin()
    assert (_version(), index.asked) == ("2.4.7", 2)


def test_no_password_is_kept(index: Resolver, begin: Callable[[], None], tmp_path: Path) -> None:
    index.address = '\nurl = "https://user:secret@example.org/numpy.whl"'
    _version()
    index.address = '\nurl = "https://example.org/numpy.whl?token=secret"'
    _version(replace(WANTED, constraints=("numpy<3",)))
    begin()
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("content")]
    assert len(kept) == 1
    assert not any(b"secret" in each for each in kept)
    assert (_version(), index.asked) == ("2.4.6", 2)


def test_a_damaged_answer_is_asked_again(
    index: Resolver, begin: Callable[[], None], tmp_path: Path
) -> None:
    _version()
    begin()
    for path in (tmp_path / "cache").rglob("content"):
        path.write_bytes(path.read_bytes().replace(b"2.4.6", b"0.0.1"))
    assert (_version(), index.asked) == ("2.4.6", 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_is_only_read_keeps_nothing(index: Resolver, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    assert _version() == "2.4.6"


class Plan:
    """Stands for a plan that asks the resolver, and refuses a model without a wheel."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: object) -> tuple[object, ...]:
        self.times += 1
        try:
            return (_version(),)
        except ToolError as error:
            raise PlanError(str(error)) from error


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Plan:
    found = Plan()
    monkeypatch.setattr(_plan, "_plan_once", found)
    monkeypatch.setattr(_plan, "_warn_of_age", lambda *_: None)  # of facts, not of answers
    return found


REQUEST: Any = make_request("models:/churn/1")


def _plan_any() -> tuple[object, ...]:
    return _plan.plan(REQUEST, REQUEST, REQUEST)


def test_nobody_is_refused_by_what_was_kept(
    index: Resolver, begin: Callable[[], None], planned: Plan
) -> None:
    index.code = 1
    with pytest.raises(PlanError):
        _plan_any()
    assert planned.times == 1  # what was asked just now is not asked again
    begin()
    index.code = 0  # somebody has put the wheel there
    assert _plan_any() == ("2.4.6",)
    assert planned.times == 3
    begin()
    assert _plan_any() == ("2.4.6",)
    assert index.asked == 2


def test_a_build_that_fails_has_the_next_one_ask(
    index: Resolver, begin: Callable[[], None], tmp_path: Path
) -> None:
    request = make_request("models:/x/1", out_dir=tmp_path / "dist")
    _version()
    begin()
    with pytest.raises(ToolError), build._resolving(request):
        _install_gone(_version())
    begin()
    _version()
    assert index.asked == 2


def _install_gone(version: str | None) -> None:
    raise ToolError(f"the index has numpy {version} no more")


@pytest.mark.parametrize("settings", [{"refresh": True}, {"reuse": False}])
def test_a_request_can_ask_for_it(
    settings: dict[str, bool], index: Resolver, begin: Callable[[], None], tmp_path: Path
) -> None:
    _version()
    begin()
    with build._resolving(make_request("models:/x/1", out_dir=tmp_path, **settings)):
        _version()
    assert index.asked == 2
    begin()
    with build._resolving(make_request("models:/x/1", out_dir=tmp_path)):
        _version()
    assert index.asked == 2
