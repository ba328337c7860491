"""A package that does not bear deferring costs the others nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from packager.pipeline.slim import defer
from packager.pipeline.slim.defer import Attempt
from packager.pipeline.slim.import_deferral import Name, Sinking
from packager.pipeline.slim.tracing import trace
from packager.pipeline.slim.tracing.kept_deferral import Deferral
from packager.pipeline.slim.tracing.trace import UntraceableError
from packager.system.file_tree import records
from packager.types import Bundle, Interpreter, Trace
from tests import fake_plan

HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
PACKAGES = ("first", "second", "third", "fourth")
Moved = frozenset[Name]


class Tree:
    """Packages that each import a module which no answer needs, and what comes of moving that."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = {}
        for name in PACKAGES:
            (root / name).mkdir(parents=True)
            (root / name / "__init__.py").write_text("from . import late\ndef f(): return late\n")
            (root / name / "late.py").write_text("")
            files[name] = PurePosixPath(name, "__init__.py")
            files[f"{name}.late"] = PurePosixPath(name, "late.py")
        self.before = fake_plan.trace(
            init=tuple(files),
            files=files,
            answers=("1",),
        )
        self.moved: Moved = frozenset()
        self.traces = 0
        bundle = Bundle(root=root, files=tuple(records(root)), trace=self.before)
        self.make_attempt: Callable[[], Attempt] = lambda: Attempt(
            bundle, fake_plan.plan(interpreter=HERE), self.before
        )
        self.attempt = self.make_attempt()
        monkeypatch.setattr(Sinking, "write", lambda _, moved, __: setattr(self, "moved", moved))
        monkeypatch.setattr(Sinking, "watch", lambda _, __: None)
        monkeypatch.setattr(Sinking, "rewrite", lambda _: None)
        monkeypatch.setattr(trace, "watch", self.unwatchable)
        monkeypatch.setattr(trace, "record", self.record)
        monkeypatch.setattr(Attempt, "_load_groups", lambda _, groups: self.loaded(groups))
        self.fails: Callable[[set[str]], str] = lambda _: ""
        self.wrong: set[str] = set()

    @staticmethod
    def unwatchable(*_: Any) -> Any:
        raise UntraceableError("it cannot be watched")

    @staticmethod
    def loaded(groups: Any) -> list[list[dict[str, Any]]]:
        return [[{"names": ["x" for _ in group], "effects": []} for group in groups]] * 2

    def record(self, *_: Any) -> Trace:
        self.traces += 1
        tops = {module for module, _ in self.moved}
        if log := self.fails(tops):
            raise UntraceableError("it does not start", log)
        loaded = tuple(
            name
            for name in self.before.init
            if not (name.endswith(".late") and name.partition(".")[0] in tops)
        )
        answers = ("2",) if tops & self.wrong else ("1",)
        return replace(self.before, init=loaded, answers=answers)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path, monkeypatch)


def packages(moved: Moved) -> set[str]:
    return {module for module, _ in moved}


def test_all_that_can_be_is_moved(tree: Tree) -> None:
    traced = tree.attempt.settle()
    assert packages(tree.moved) == set(PACKAGES)
    assert traced.modules == set(PACKAGES)
    assert tree.attempt.list_reverted() == ()


@pytest.mark.few(0)
def test_a_package_that_keeps_it_from_starting_stays(tree: Tree) -> None:
    tree.fails = lambda tops: 'File "/var/task/second/__init__.py"' if "second" in tops else ""
    tree.attempt.settle()
    assert packages(tree.moved) == set(PACKAGES) - {"second"}
    assert tree.attempt.list_reverted() == ("second: it does not start",)


@pytest.mark.few(1)
@pytest.mark.parametrize("wrong", PACKAGES)
def test_a_package_that_changes_an_answer_is_found_by_halving(tree: Tree, wrong: str) -> None:
    tree.wrong = {wrong}
    tree.attempt.settle()
    assert packages(tree.moved) == set(PACKAGES) - {wrong}
    assert tree.attempt.list_reverted() == (f"{wrong}: an answer was another one",)


def test_two_that_change_answers_are_both_found(tree: Tree) -> None:
    tree.wrong = {"first", "fourth"}
    tree.attempt.settle()
    assert packages(tree.moved) == {"second", "third"}


def _settle_known(tree: Tree, known: Deferral, monkeypatch: pytest.MonkeyPatch) -> Trace | None:
    """As a build that finds what an earlier one found; how often it traced is counted anew."""
    tree.traces, tree.moved = 0, frozenset()
    again = tree.make_attempt()
    monkeypatch.setattr(tree, "attempt", again)
    return again.settle_again(known)


def test_what_an_earlier_build_found_is_traced_once(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.fails = lambda tops: 'File "/var/task/second/__init__.py"' if "second" in tops else ""
    before = tree.attempt.settle()
    moved = tree.moved

    traced = _settle_known(tree, tree.attempt.deferral, monkeypatch)

    assert traced == before
    assert (tree.moved, tree.traces) == (moved, 1)
    assert tree.attempt.list_reverted() == ("second: it does not start",)
    assert "as found in an earlier build" in tree.attempt.proof(before)


@pytest.mark.few(1)
@pytest.mark.parametrize("way", ["fails", "answers", "loads", "is not worth it", "is gone"])
def test_what_an_earlier_build_found_is_sought_anew_where_it_does_not_hold(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    tree.attempt.settle()
    known = tree.attempt.deferral
    if way == "fails":
        tree.fails = lambda tops: "Segmentation fault" if tops else ""
    elif way == "answers":
        tree.wrong = {"third"}
    elif way == "loads":
        monkeypatch.setattr(trace, "record", lambda *_: replace(tree.before, init=("new",)))
    elif way == "is not worth it":
        monkeypatch.setattr(trace, "record", lambda *_: tree.before)
    else:
        known = replace(known, moved=known.moved | {("fifth", "late")})

    assert _settle_known(tree, known, monkeypatch) is None
    assert tree.moved == frozenset()
    assert tree.attempt.list_reverted() == ()


@pytest.mark.few(0)
def test_where_nobody_is_named_nothing_is_moved(tree: Tree) -> None:
    tree.fails = lambda tops: "Segmentation fault" if tops else ""
    tree.attempt.settle()
    assert tree.moved == frozenset()
    assert tree.traces == 2


@pytest.mark.few(0)
def test_of_two_that_fail_the_one_within_the_other_is_blamed(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(_: Any, groups: Any) -> list[list[dict[str, Any]]]:
        late = "first" in packages(tree.moved)
        effects = {"first": ["os.environ"] * late, "second": ["os.environ"] * late}
        return [
            [
                {"names": ["x" for _ in group], "effects": effects.get(group[0][0], [])}
                for group in groups
            ]
        ] * 2

    needs = Sinking.needs
    monkeypatch.setattr(
        Sinking,
        "needs",
        lambda own, name, moved: (
            needs(own, name, moved) | ({"first.late"} if name[0] == "second" else set())
        ),
    )
    monkeypatch.setattr(Attempt, "_load_groups", loaded)
    tree.attempt.settle()
    assert packages(tree.moved) == {"second", "third", "fourth"}
    assert tree.attempt.list_reverted() == ("first.late: changes os.environ",)


@pytest.mark.few(0)
def test_an_answer_that_differs_each_time_is_nobodys_fault(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tree.record

    def drawn(*given: Any) -> Trace:
        return replace(record(*given), answers=(str(tree.traces),))

    monkeypatch.setattr(trace, "record", drawn)
    tree.before = replace(tree.before, answers=("0",))
    tree.attempt.settle()
    assert packages(tree.moved) == set(PACKAGES)


def test_what_does_not_settle_is_undone(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defer, "_ROUNDS", 1)
    tree.fails = lambda tops: "Segmentation fault" if tops else ""
    with pytest.raises(defer.GivenUpError, match="did not settle in 1 rounds"):
        tree.attempt.settle()
