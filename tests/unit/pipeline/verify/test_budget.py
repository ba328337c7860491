"""What a tree that does not fit is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from packager import targets
from packager.pipeline import sizes
from packager.pipeline.verify import budget
from packager.types import Bundle, FileRecord
from tests import fake_plan

LIMIT = fake_plan.LIMITS.unzipped_bytes


def bundle(**sizes: int) -> Bundle:
    files = tuple(
        FileRecord(PurePosixPath(name.replace("__", "/").replace("_libs", ".libs")), "", size)
        for name, size in sizes.items()
    )
    return Bundle(root=Path("unused"), files=files)


def test_a_tree_at_the_limit_fits() -> None:
    findings, sentence = budget.check(bundle(numpy__a=LIMIT), fake_plan.plan())
    assert findings == []
    assert sentence == "262.1 MB unzipped, 100 % of the 262.1 MB that aws-lambda allows."


def test_a_byte_over_does_not() -> None:
    findings, _ = budget.check(bundle(numpy__a=LIMIT + 1), fake_plan.plan())
    assert [finding.check for finding in findings] == ["budget"]


def test_the_largest_are_named_and_the_way_out() -> None:
    over = bundle(torch__a=LIMIT, numpy__a=40_000_000, numpy_libs__b=10_000_000, six=1_000)
    (finding,) = budget.check(over, fake_plan.plan())[0]
    assert "50.0 MB over" in finding.message
    assert "Largest: torch 262.1 MB, numpy 50.0 MB, six 0.0 MB." in finding.message
    assert "--target aws-lambda-image" in finding.hint
    assert fake_plan.LIMITS.source in finding.hint


def test_what_went_to_fit_is_named_with_what_keeps_it() -> None:
    plan = fake_plan.plan(spared_for="code/a.py:3 imports what only running it tells")
    fits = replace(bundle(numpy__a=LIMIT), left_out=("pyplot", "seaborn"))
    (note,) = budget.list_left_out_notes(fits, plan)
    assert note.startswith("pyplot, seaborn are left out: with them the function has more than")
    assert "because code/a.py:3 imports what only running it tells" in note
    assert "--keep-package NAME keeps one, and --target aws-lambda-image takes more." in note
    assert [*budget.list_left_out_notes(bundle(numpy__a=LIMIT), plan)] == []


def test_what_is_over_without_them_says_so() -> None:
    over = replace(bundle(numpy__a=LIMIT + 1), left_out=("seaborn",))
    (finding,) = budget.check(over, fake_plan.plan())[0]
    assert "seaborn is left out already." in finding.hint
    assert "All that" not in finding.hint


def test_only_ten_are_named() -> None:
    target = replace(fake_plan.TARGET, limits=replace(fake_plan.LIMITS, unzipped_bytes=10))
    many = bundle(**{f"p{number:02}": 5 for number in range(12)})
    (finding,) = budget.check(many, fake_plan.plan(target=target))[0]
    assert "p09 0.0 MB." in finding.message
    assert "p10" not in finding.message


SIZES = (("torch", 200_000_000), ("numpy", 60_000_000), ("six", 1_000))


def test_what_is_over_is_told_in_packages() -> None:
    target = replace(fake_plan.TARGET, limits=replace(fake_plan.LIMITS, unzipped_bytes=50_000_000))
    said = sizes.unlocking(SIZES, target, fake_plan.RUNTIME)
    assert said == (
        "210.0 MB less would fit aws-lambda, and SnapStart with it: as much as torch (200.0 MB) "
        "and numpy (60.0 MB) take."
    )
    old = replace(fake_plan.RUNTIME, snapstart=False)
    assert sizes.unlocking(SIZES, target, old) == said.replace(", and SnapStart with it", "")


def test_what_fits_is_told_its_room() -> None:
    said = sizes.unlocking(SIZES, fake_plan.TARGET, fake_plan.RUNTIME)
    assert said.startswith("2.1 MB are left of the 262.1 MB that aws-lambda takes; python3.13 can")
    azure = targets.load("azure-functions")
    assert sizes.unlocking(SIZES, azure, azure.runtimes[0]) == (
        "540.0 MB are left of the 800.0 MB that azure-functions takes."
    )
    older = sizes.unlocking(SIZES, fake_plan.TARGET, fake_plan.OLD_RUNTIME)
    assert "a newer runtime than python3.11" in older
