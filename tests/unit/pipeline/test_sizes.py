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
