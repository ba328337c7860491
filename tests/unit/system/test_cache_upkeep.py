"""What is listed, checked and removed, and what is let be."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packager.system import cache
from packager.system.cache import Entry, _entries, _manifest, _place

DAY = 86_400


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    _release()


def _release() -> None:
    for entry in list(_entries._held):
        _entries.release_entry(entry)


def _make(kind: str, key: str, size_bytes: int = 8192, days: int = 0) -> Path:
    entry = cache.ensure(kind, key, lambda folder: _fill(folder, size_bytes))
    stamp = time.time() - days * DAY
    os.utime(entry / _manifest.FILENAME, (stamp, stamp))
    return entry


def _fill(folder: Path, size_bytes: int) -> None:
    (folder / "file").write_bytes(os.urandom(size_bytes))


def _names(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.name for entry in entries]


def test_entries_are_listed_with_what_they_hold(root: Path) -> None:
    _make("tools", "b", 100_000)
    _make("answers", "a")
    _release()
    listed = cache.list_entries()
    assert _names(listed) == ["answers/a", "tools/b"]
    assert listed[1].size_bytes >= 100_000
    assert not any(entry.in_use for entry in listed)


def test_a_cache_that_is_not_there_is_empty() -> None:
    assert cache.list_entries() == ()
    assert cache.remove_leftovers() == 0


def test_folders_of_somebody_else_are_no_entries(root: Path) -> None:
    _place.claim_place(root)
    (root / "photos" / "holiday").mkdir(parents=True)
    (root / "photos" / "holiday" / "sea.jpg").touch()
    (root / "environments" / f"model-{'ab' * 10}").mkdir(parents=True)
    assert _names(cache.list_entries()) == [f"environments/model-{'ab' * 10}"]


@pytest.mark.parametrize(
    ("days", "most", "gone"),
    [
        (30, None, ["k/old"]),
        (None, 250_000, ["k/old"]),
        (None, 120_000, ["k/old", "k/mid"]),
        (None, 0, ["k/old", "k/mid", "k/new"]),
        (30, 120_000, ["k/old", "k/mid"]),
        (400, None, []),
        (None, 10**9, []),
    ],
)
def test_the_least_recently_used_go_first(
    days: int | None, most: int | None, gone: list[str]
) -> None:
    for key, age in (("new", 1), ("old", 60), ("mid", 10)):
        _make("k", key, 100_000, age)
    _release()
    older = None if days is None else float(days * DAY)
    chosen = cache.select_entries(cache.list_entries(), older_seconds=older, max_bytes=most)
    assert _names(chosen) == gone


def test_use_renews(root: Path) -> None:
    _make("k", "old", days=60)
    cache.ensure("k", "old", lambda folder: pytest.fail("it is there"))
    assert time.time() - cache.list_entries()[0].used < DAY


_HOLD = (
    "import sys; from packager.system import cache as _cache\n"
    "print(_cache.ensure('k', 'used', lambda folder: None), flush=True)\n"
    "sys.stdin.read()\n"
)


def test_what_another_build_uses_stays(root: Path) -> None:
    used, idle = _make("k", "used"), _make("k", "idle")
    _release()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == str(used)
        assert [entry.in_use for entry in cache.list_entries()] == [False, True]
        done = cache.remove_entries(cache.list_entries())
        assert _names(done.removed) == ["k/idle"]
        assert _names(done.kept) == ["k/used"]
        assert (used.is_dir(), idle.is_dir()) == (True, False)
        other.communicate("")
    assert _names(cache.remove_entries(cache.list_entries()).removed) == ["k/used"]


def test_leftovers_of_killed_builds_go_and_those_at_work_stay(root: Path) -> None:
    _place.claim_place(root)
    left = root / "k" / ".partial-old"
    left.mkdir(parents=True)
    (left / "file").write_bytes(b"x" * 5000)

    def make(folder: Path) -> None:
        (folder / "file").touch()
        assert cache.remove_leftovers() >= 5000
        assert folder.is_dir()

    assert cache.ensure("k", "key", make).is_dir()
    assert not left.exists()


def test_every_file_is_read_where_that_is_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _make("k", "rotten")
    _make("k", "sound")
    manifest = _manifest.read_manifest(entry)
    assert manifest is not None
    (entry / "file").write_bytes(os.urandom(8192))
    # a disk that lost bits changes no times
    rotten = {"file": _manifest._describe(entry / "file", manifest.files["file"].sha256)}
    _manifest._save(entry, _manifest.Manifest(made="", files=rotten))
    monkeypatch.setattr(_manifest, "_SMALL_BYTES", 0)
    assert _entries.find_damage(entry) is None
    found = cache.check_entries(cache.list_entries())
    assert [(each.name, why) for each, why in found] == [("k/rotten", "changed: file")]
