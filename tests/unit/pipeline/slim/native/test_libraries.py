"""Where a missing shared library comes from: the tree itself, else the donor's wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager.environments import lockfile
from packager.errors import UnresolvableError
from packager.pipeline.slim.native import libraries
from packager.system import elf, file_tree
from packager.types import BuildPlan, Bundle, Lock
from tests import fake_plan, tiny_elf

NEEDS_GOMP = tiny_elf.library(needed=("libgomp.so.1", "libc.so.6"))
GOMP = tiny_elf.library(soname="libgomp-1.so.1.0.0", needed=("libc.so.6",))
COPY = "scikit_learn.libs/libgomp-1.so.1.0.0"

# as the loader will look for it: under LD_LIBRARY_PATH, or among what is loaded already
RENAMED = elf.Elf(architecture="x86_64", soname="libgomp.so.1", needed=("libc.so.6",))


def applied(root: Path, files: dict[str, bytes], plan: BuildPlan | None = None) -> Bundle:
    tiny_elf.write(root, files)
    bundle = Bundle(root=root, files=tuple(file_tree.records(root)))
    return libraries.PASS.apply(bundle, plan or fake_plan.plan())


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was asked of the package index, which has scikit-learn alone."""
    asked: list[str] = []

    def lock(wanted: lockfile.Wanted) -> Lock:
        asked.extend(wanted.requirements)
        if not wanted.requirements[0].startswith("scikit-learn=="):
            raise UnresolvableError("no wheel")
        text = '[[packages]]\nname = "numpy"\n[[packages]]\nname = "scikit-learn"\n'
        return Lock(text=text, packages=())

    def install(lock: Lock, target: Path, **options: Any) -> None:
        assert "numpy" not in lock.text
        tiny_elf.write(target, {COPY: GOMP})

    monkeypatch.setattr(lockfile, "lock", lock)
    monkeypatch.setattr(lockfile, "install", install)
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return asked


def test_nothing_missing_nothing_done(tmp_path: Path, index: list[str]) -> None:
    bundle = applied(tmp_path / "a", {"x.so": tiny_elf.library(needed=("libc.so.6",))})
    assert [file.path.as_posix() for file in bundle.files] == ["x.so"]
    assert index == []


def test_a_sibling_wheel_in_the_tree_gives_its_copy(tmp_path: Path, index: list[str]) -> None:
    bundle = applied(tmp_path / "a", {"lightgbm/lib.so": NEEDS_GOMP, COPY: GOMP})
    assert elf.read(bundle.root / "lib" / "libgomp.so.1") == RENAMED
    assert bundle.ledger[-1].proof == "libgomp.so.1 from scikit-learn, which is installed"
    assert index == []


def test_else_the_donors_wheel_for_the_target_is_fetched_once(
    tmp_path: Path, index: list[str]
) -> None:
    bundles = [applied(tmp_path / name, {"lightgbm/lib.so": NEEDS_GOMP}) for name in ("a", "b")]
    for bundle in bundles:
        assert elf.read(bundle.root / "lib" / "libgomp.so.1") == RENAMED
        assert "'s wheel for x86_64-manylinux_2_34" in bundle.ledger[-1].proof
    assert len(index) == 1


def test_a_wheel_gives_a_library_by_each_of_its_names(tmp_path: Path, index: list[str]) -> None:
    for name in ("libgomp.so.1", "libgomp.so.1.0.0"):
        bundle = applied(tmp_path / name, {"x.so": tiny_elf.library(needed=(name,))})
        assert (bundle.root / "lib" / name).is_file()
    assert len(index) == 2


def test_what_nobody_donates_is_left_for_linkage(tmp_path: Path, index: list[str]) -> None:
    bundle = applied(tmp_path / "a", {"x.so": tiny_elf.library(needed=("libodd.so.3",))})
    assert [file.path.as_posix() for file in bundle.files] == ["x.so"]
    assert libraries.missing(bundle.root, {"libc.so.6"}) == {"libodd.so.3"}


def test_a_donor_without_a_wheel_for_the_target_is_passed_over(
    tmp_path: Path, index: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(wanted: lockfile.Wanted) -> Lock:
        index.extend(wanted.requirements)
        raise UnresolvableError("no wheel")

    monkeypatch.setattr(lockfile, "lock", refuse)
    bundle = applied(tmp_path / "a", {"x.so": NEEDS_GOMP})
    assert not (bundle.root / "lib").exists()
    assert [line.partition("==")[0] for line in index] == ["scikit-learn", "xgboost-cpu"]
