"""What the room in a function's folder is said to be taken by."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from packager.pipeline import sizes


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("scipy/linalg/_fblas.so", "scipy"),
        ("scipy.libs/libopenblas.so", "scipy"),
        ("six.py", "six.py"),
        ("handlers/scoring/scorer.py", "handlers"),
        ("handlers/store.cold", "compressed store"),
        ("handlers/store.code", "bytecode archive"),
        ("handlers/store.index", "bytecode archive"),
        ("other/store.cold", "other"),
    ],
)
def test_a_file_counts_with_its_package_or_archive(path: str, name: str) -> None:
    assert sizes.by_package([(PurePosixPath(path), 7)]) == [(name, 7)]


def test_the_largest_comes_first() -> None:
    files = [(PurePosixPath("a/x"), 1), (PurePosixPath("b/x"), 2), (PurePosixPath("b/y"), 3)]

    assert sizes.by_package(files) == [("b", 5), ("a", 1)]


def test_parts_are_named_and_small_ones_summed_up() -> None:
    files = [
        *((PurePosixPath(name), size) for name, size in (("big/a/x.py", 600), ("big/a/y.py", 100))),
        *((PurePosixPath(name), size) for name, size in (("big/b.so", 290), ("big/c.py", 5))),
        *((PurePosixPath(name), size) for name, size in (("big.libs/d.so", 4), ("six.py", 1))),
    ]

    assert sizes.by_part(files) == {
        "big": {"a": 700, "b.so": 290, "other files": 9},
        "six.py": {"other files": 1},
    }
    assert sizes.by_part([]) == {}
