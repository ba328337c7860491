"""A tree's files and digests, read again only where something can have changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from packager.system import file_tree
from packager.system.file_tree import digest, records, walk


def _wait_a_tick() -> None:
    time.sleep(file_tree._TICK_NS * 1.5 / 1e9)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "b").mkdir(parents=True)
    for name in ("b/x", "b.txt", "a"):
        (root / name).write_text(name)
    return root


def test_the_order_is_that_of_the_paths(tree: Path) -> None:
    assert [path.as_posix() for path in walk(tree)] == ["a", "b.txt", "b/x"]
    relative = Path(os.path.relpath(tree))
    assert [path.as_posix() for path in walk(relative)] == ["a", "b.txt", "b/x"]


def test_what_did_not_change_is_not_read_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _wait_a_tick()
    first = list(records(tree))
    monkeypatch.setattr(file_tree, "sha256", lambda _: "read")
    assert list(records(tree)) == first
    (tree / "new").write_text("a")
    (tree / "a").rename(tree / "moved")
    assert {str(each.path): each.sha256 == "read" for each in records(tree)} == {
        "b.txt": False,
        "b/x": False,
        "moved": True,  # its inode's change time moved
        "new": True,
    }


@pytest.mark.parametrize("wait", [True, False])
def test_a_change_that_keeps_size_and_times_is_seen(tree: Path, wait: bool) -> None:  # noqa: FBT001
    if wait:
        _wait_a_tick()
    path = tree / "a"
    before = path.stat()
    first = digest(records(tree))
    path.write_text("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(records(tree)) != first
