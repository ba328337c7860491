"""Which pass or folder is found to blame, over a tree that fails by a rule of the test's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from packager.errors import VerificationError
from packager.pipeline.bisect import BlamelessError, without_cause
from packager.pipeline.slim.globs import matches
from packager.types import (
    BuildPlan,
    Bundle,
    Check,
    Evidence,
    FileRecord,
    Finding,
    LedgerEntry,
    VerifiedBundle,
)
from tests import fake_plan

PASSES = ("libraries", "prune", "compact", "bytecode", "trace", "defer", "store")
FILES = tuple(
    FileRecord(PurePosixPath(path), "", 1)
    for path in (
        *(f"package{number}/__init__.py" for number in range(16)),
        "sklearn/linear/a.py",
        "sklearn/linear/b.py",
        "sklearn/tree/c.py",
    )
)
DIFFERS = Finding(check=Check.REPLAY, message="row 3: expected 1, got 2.", hint="")
BUDGET = Finding(check=Check.BUDGET, message="Too big.", hint="")


class Tree:
    """Fails where `wrong` says so; counts how often it was asked."""

    def __init__(self, wrong: Callable[[BuildPlan], Finding | None]) -> None:
        self.wrong, self.asked = wrong, 0

    def __call__(self, plan: BuildPlan) -> VerifiedBundle:
        self.asked += 1
        if finding := self.wrong(plan):
            raise VerificationError([finding])
        ledger = tuple(
            LedgerEntry(
                name=name, bytes_before=1, bytes_after=1, files_before=1, files_after=1, reason="r"
            )
            for name in plan.passes
        )
        bundle = Bundle(root=Path("unused"), files=FILES, ledger=ledger)
        return VerifiedBundle(bundle=bundle, evidence=Evidence(proven=True))


def plan() -> BuildPlan:
    return fake_plan.plan(passes=PASSES)


@pytest.mark.parametrize("guilty", PASSES[1:])
def test_a_pass_that_heeds_no_keep_rule_is_taken_back(guilty: str) -> None:
    tree = Tree(lambda plan: DIFFERS if guilty in plan.passes else None)

    shipped, verified = without_cause(plan(), tree, "row 3 differs.")

    assert shipped.passes == tuple(name for name in PASSES if name != guilty)
    (entry,) = (entry for entry in verified.bundle.ledger if entry.name == guilty)
    assert entry.reverted == ("**",)
    assert "row 3 differs." in entry.proof
    assert tree.asked <= 7


@pytest.mark.parametrize("file", ["package0/__init__.py", "package13/__init__.py"])
def test_the_file_is_found_and_kept(file: str) -> None:
    def wrong(plan: BuildPlan) -> Finding | None:
        kept = matches(PurePosixPath(file), plan.keep)
        return DIFFERS if "defer" in plan.passes and not kept else None

    shipped, verified = without_cause(plan(), Tree(wrong), "")

    assert shipped.passes == PASSES
    assert shipped.keep in {(file,), (file.partition("/")[0],)}
    (entry,) = (entry for entry in verified.bundle.ledger if entry.name == "defer")
    assert entry.reverted == shipped.keep


def test_the_search_is_bounded_and_ships_the_narrowest_that_was_found() -> None:
    def wrong(plan: BuildPlan) -> Finding | None:
        kept = matches(PurePosixPath("sklearn/linear/b.py"), plan.keep)
        return DIFFERS if "store" in plan.passes and not kept else None

    tree = Tree(wrong)
    shipped, _ = without_cause(plan(), tree, "")

    assert tree.asked <= 15
    assert shipped.keep[-1].startswith("sklearn")
    assert matches(PurePosixPath("sklearn/linear/b.py"), shipped.keep)


def test_files_that_fail_in_two_places_are_kept_together() -> None:
    both = [PurePosixPath("package0/__init__.py"), PurePosixPath("package15/__init__.py")]

    def wrong(plan: BuildPlan) -> Finding | None:
        kept = all(matches(path, plan.keep) for path in both)
        return DIFFERS if "prune" in plan.passes and not kept else None

    shipped, _ = without_cause(plan(), Tree(wrong), "")

    assert all(matches(path, shipped.keep) for path in both)


def test_what_fails_unslimmed_is_not_slimmings_fault() -> None:
    tree = Tree(lambda _: DIFFERS)
    with pytest.raises(BlamelessError):
        without_cause(plan(), tree, "")
    assert tree.asked == 1


def test_a_tree_that_is_only_too_big_unslimmed_is_searched_all_the_same() -> None:
    def wrong(plan: BuildPlan) -> Finding | None:
        if "bytecode" in plan.passes:
            return DIFFERS
        return None if "prune" in plan.passes else BUDGET

    shipped, _ = without_cause(plan(), Tree(wrong), "")

    assert "bytecode" not in shipped.passes
    assert "prune" in shipped.passes


def test_two_guilty_passes_are_both_taken_back() -> None:
    tree = Tree(lambda plan: DIFFERS if {"prune", "defer"} & set(plan.passes) else None)

    shipped, verified = without_cause(plan(), tree, "")

    assert shipped.passes == ("libraries", "compact", "bytecode", "trace", "store")
    assert {entry.name for entry in verified.bundle.ledger if entry.reverted} == {"prune", "defer"}
