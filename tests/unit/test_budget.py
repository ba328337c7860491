"""What a tree that does not fit is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from packager.types import Bundle, FileRecord
from packager.verify import budget
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


def test_only_ten_are_named() -> None:
    target = replace(fake_plan.TARGET, limits=replace(fake_plan.LIMITS, unzipped_bytes=10))
    many = bundle(**{f"p{number:02}": 5 for number in range(12)})
    (finding,) = budget.check(many, fake_plan.plan(target=target))[0]
    assert "p09 0.0 MB." in finding.message
    assert "p10" not in finding.message
