"""What the plan spares stays while the tree fits; else the tree is made anew without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

import packager.pipeline.slim
from packager.pipeline.slim import slim, unused_distributions
from packager.pipeline.slim.passes import account_for
from packager.pipeline.slim.stage import _tops
from packager.pipeline.slim.tracing import trace
from packager.system import file_tree
from packager.types import BuildPlan, Bundle, PassName
from tests import fake_plan, tiny_elf
from tests.unit.pipeline.slim.test_cut import distribution

SPARED_BYTES = 10_000
BASE_BYTES = 1_000
FILES = {
    "model/MLmodel": b"",
    "lib/touched": b"x" * BASE_BYTES,
    **distribution("boto3"),
    **distribution("tabulate", b"#" * SPARED_BYTES, requires="wcwidth"),
    **distribution("wcwidth"),
}


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """What each tree that is staged is to spare; nothing of it is seen to be touched."""
    found: list[frozenset[str]] = []

    def stage(plan: BuildPlan, root: Path) -> Bundle:
        found.append(plan.spared)
        tiny_elf.write(root, FILES)
        return Bundle(root=root, files=tuple(file_tree.records(root)), tops=_tops(root))

    def record(bundle: Bundle, plan: BuildPlan) -> Bundle:
        seen = fake_plan.trace(opened=(PurePosixPath("lib/touched"),))
        return replace(account_for(bundle, trace.PASS, proof=""), trace=seen)

    monkeypatch.setattr(packager.pipeline.slim, "stage", stage)
    passes = {"trace": replace(trace.PASS, apply=record), "cut": unused_distributions.PASS}
    monkeypatch.setattr(packager.pipeline.slim, "PASSES", passes)
    return found


def _slim(tmp_path: Path, limit: int, *passes: PassName) -> Bundle:
    limits = replace(fake_plan.LIMITS, unzipped_bytes=limit)
    plan = fake_plan.plan(
        target=replace(fake_plan.TARGET, limits=limits),
        passes=passes or (PassName.TRACE, PassName.CUT),
        loader=replace(fake_plan.plan().loader, options={}),
        spared=frozenset({"tabulate", "boto3"}),
        spared_for="code/a.py:1 imports what only running it tells",
    )
    return slim(plan, tmp_path)


def _has(bundle: Bundle, name: str) -> bool:
    return (bundle.root / name / "__init__.py").is_file()


def test_it_stays_where_all_fits(tmp_path: Path, rounds: list[frozenset[str]]) -> None:
    bundle = _slim(tmp_path, 100_000)
    assert len(rounds) == 1
    assert _has(bundle, "tabulate")
    assert _has(bundle, "wcwidth")
    assert not _has(bundle, "boto3"), "the runtime has it"
    assert bundle.left_out == ()


def test_it_goes_where_the_tree_would_be_too_large(
    tmp_path: Path, rounds: list[frozenset[str]]
) -> None:
    bundle = _slim(tmp_path, SPARED_BYTES)
    assert rounds[1:] == [frozenset()]
    assert bundle.size_bytes <= SPARED_BYTES
    assert not _has(bundle, "tabulate")
    assert bundle.left_out == ("tabulate", "wcwidth")


@pytest.mark.parametrize(
    ("limit", "passes"),
    [(BASE_BYTES // 2, ()), (SPARED_BYTES, (PassName.TRACE,)), (SPARED_BYTES, (PassName.CUT,))],
    ids=["too large without it too", "nothing may be cut", "nothing was seen"],
)
def test_no_tree_is_made_anew_where_that_cannot_help(
    tmp_path: Path, rounds: list[frozenset[str]], limit: int, passes: tuple[PassName, ...]
) -> None:
    bundle = _slim(tmp_path, limit, *passes)
    assert len(rounds) == 1
    assert _has(bundle, "tabulate")
    assert bundle.left_out == ()
