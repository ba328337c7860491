"""Bytecode with moved imports is written once for all builds of the same sources."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.slim.import_deferral import Sinking
from packager.system import process
from packager.system.file_tree import records
from packager.types import Bundle, Interpreter
from tests import fake_plan

HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
FILES = {"pkg": PurePosixPath("pkg/__init__.py"), "pkg.late": PurePosixPath("pkg/late.py")}
FIRST = "from . import late\ndef f(): return late\n"


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The worker's commands, as they are run."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    seen: list[str] = []
    run = process.run

    def count(argv: list[str | Path], **more: object) -> process.Done:
        seen.append(str(argv[-3]))
        return run(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "run", count)
    return seen


def make(root: Path, text: str = FIRST) -> Sinking:
    (root / "pkg").mkdir(parents=True)
    (root / FILES["pkg"]).write_text(text)
    (root / FILES["pkg.late"]).write_text("")
    before = fake_plan.trace(
        init=tuple(FILES),
        files=FILES,
    )
    bundle = Bundle(root=root, files=tuple(records(root)), trace=before)
    return Sinking(bundle, fake_plan.plan(interpreter=HERE), before)


def read(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "pkg").rglob("*.pyc")}


@pytest.mark.parametrize("command", ["watch", "write"])
def test_the_same_change_of_the_same_sources_runs_nothing(
    tmp_path: Path, runs: list[str], command: str
) -> None:
    written = []
    for name in ("one", "two"):
        sinking = make(tmp_path / name)
        movable = sinking.movable()
        assert movable
        if command == "watch":
            sinking.watch(movable)
        else:
            sinking.write(movable, None)
        written.append(read(tmp_path / name))
    assert written[0]
    assert written[0] == written[1]
    assert runs.count(command) == 1


def test_other_sources_and_other_changes_are_worked_on(tmp_path: Path, runs: list[str]) -> None:
    for name, text in (("one", FIRST), ("two", FIRST.replace("def f", "def g"))):
        sinking = make(tmp_path / name, text)
        sinking.write(sinking.movable(), None)
    assert runs.count("write") == 2
    assert read(tmp_path / "one") != read(tmp_path / "two")


def test_what_was_damaged_in_the_cache_is_made_again(tmp_path: Path, runs: list[str]) -> None:
    sinking = make(tmp_path / "one")
    sinking.write(sinking.movable(), None)
    for path in (tmp_path / "cache" / "deferred").rglob("*"):
        if path.is_file() and path.name == "content":
            path.write_bytes(b"other")
    again = make(tmp_path / "two")
    again.write(again.movable(), None)
    assert read(tmp_path / "one") == read(tmp_path / "two")
    assert runs.count("write") == 2
