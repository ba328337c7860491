"""Folders that are kept in the cache whole, and taken out of it file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from packager.system import cache

KIND, KEY = "artifacts", "ab" * 32


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / KIND / KEY


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "function").mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    (folder / "function" / "run").write_text("#!/bin/sh\n")
    (folder / "function" / "run").chmod(0o755)
    return folder


def _take(folder: Path) -> bool:
    folder.mkdir()
    return cache.copy_entry(KIND, KEY, folder)


def test_what_was_kept_is_taken_out_as_it_was(source: Path, tmp_path: Path) -> None:
    cache.keep_copy(KIND, KEY, source)

    assert _take(tmp_path / "again")
    assert (tmp_path / "again" / "report.json").read_text() == "{}"
    assert (tmp_path / "again" / "function" / "run").stat().st_mode & 0o777 == 0o755
    assert cache.is_copy(KIND, KEY, source)
    assert cache.is_copy(KIND, KEY, tmp_path / "again")


def test_where_nothing_is_kept_nothing_is_taken(source: Path, tmp_path: Path) -> None:
    assert not _take(tmp_path / "again")
    assert not cache.is_copy(KIND, KEY, source)
    assert not list((tmp_path / "again").iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "report.json").write_text("[]"),
        lambda folder: (folder / "report.json").unlink(),
        lambda folder: (folder / "new.txt").write_text("x"),
        lambda folder: (folder / "report.json").chmod(0o755),
        lambda folder: (folder / "link").symlink_to("report.json"),
    ],
    ids=["changed", "missing", "added", "executable", "linked"],
)
def test_a_folder_that_was_changed_is_no_copy(source: Path, change: Callable[[Path], None]) -> None:
    cache.keep_copy(KIND, KEY, source)
    change(source)

    assert not cache.is_copy(KIND, KEY, source)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "report.json").write_text("[]"),
        lambda entry: (entry / "function" / "run").unlink(),
        lambda entry: (entry / ".packager-manifest.json").unlink(),
        lambda entry: (entry / ".packager-manifest.json").write_text("{"),
    ],
    ids=["changed", "missing", "no manifest", "broken manifest"],
)
def test_a_damaged_entry_is_removed_and_nothing_of_it_is_taken(
    place: Path, source: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    cache.keep_copy(KIND, KEY, source)
    damage(place)

    assert not _take(tmp_path / "again")
    assert not list((tmp_path / "again").iterdir())
    assert not place.exists()


def test_what_was_added_to_an_entry_is_not_taken(place: Path, source: Path, tmp_path: Path) -> None:
    cache.keep_copy(KIND, KEY, source)
    (place / "stranger.py").write_text("")

    assert _take(tmp_path / "again")
    assert not (tmp_path / "again" / "stranger.py").exists()


def test_what_is_kept_anew_takes_the_place_of_what_was(source: Path, tmp_path: Path) -> None:
    cache.keep_copy(KIND, KEY, source)
    (source / "report.json").write_text("[]")
    cache.keep_copy(KIND, KEY, source)

    assert _take(tmp_path / "again")
    assert (tmp_path / "again" / "report.json").read_text() == "[]"


def test_remembered_bytes_are_recalled_and_damaged_ones_are_not(tmp_path: Path) -> None:
    assert cache.recall("small", KEY) is None
    cache.remember("small", KEY, lambda: b"answer")
    assert cache.recall("small", KEY) == b"answer"
    (tmp_path / "cache" / "small" / KEY / "content").write_bytes(b"another")
    assert cache.recall("small", KEY) is None


def test_entries_of_one_kind_are_listed(source: Path) -> None:
    cache.keep_copy(KIND, KEY, source)
    cache.remember("small", KEY, lambda: b"answer")

    assert [entry.kind for entry in cache.list_entries(KIND)] == [KIND]
    assert len(cache.list_entries()) == 2
