from __future__ import annotations

from pathlib import Path

import pytest

from packager import _cache


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_folder_is_made_once(root: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").touch()

    first = _cache.ensure("kind", "key", make)
    second = _cache.ensure("kind", "key", make)

    assert first == second == root / "kind" / "key"
    assert len(made) == 1
    assert (first / "file").is_file()


def test_a_failure_leaves_nothing(root: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        _cache.ensure("kind", "key", make)

    assert list((root / "kind").iterdir()) == []


def test_the_first_of_two_that_race_wins() -> None:
    def fast(folder: Path) -> None:
        (folder / "who").write_text("fast")

    def slow(folder: Path) -> None:
        (folder / "who").write_text("slow")
        _cache.ensure("kind", "key", fast)

    assert (_cache.ensure("kind", "key", slow) / "who").read_text() == "fast"
