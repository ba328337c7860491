"""The size that PACKAGER_CACHE_MAX_SIZE keeps the cache within."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packager.errors import ConfigurationError
from packager.system import cache
from packager.system.cache import _entries, _manifest

LIMIT = "PACKAGER_CACHE_MAX_SIZE"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    _release()


def _release() -> None:
    for entry in list(_entries._held):
        _entries.release_entry(entry)


def _make(key: str, *, days: int, size_bytes: int = 100_000) -> Path:
    """An entry that was last used so many days ago."""

    def fill(folder: Path) -> None:
        (folder / "file").write_bytes(os.urandom(size_bytes))

    entry = cache.ensure("tools", key, fill)
    stamp = time.time() - days * 86_400
    os.utime(entry / _manifest.FILENAME, (stamp, stamp))
    return entry


def _names() -> list[str]:
    return [entry.path.name for entry in cache.list_entries()]


def test_the_least_recently_used_entries_beyond_the_limit_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for key, days in (("newest", 0), ("oldest", 9), ("middle", 3)):
        _make(key, days=days)
    _release()
    monkeypatch.setenv(LIMIT, "250 KB")
    with caplog.at_level(logging.INFO):
        cache.keep_within_limit()
    assert _names() == ["middle", "newest"]
    assert f"Removed 1 entries of the cache, 0.0 GB with leftovers, to keep within {LIMIT}" in (
        caplog.text
    )


def test_what_a_build_uses_stays_whatever_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    _make("free", days=1)
    _release()
    _make("used", days=9)
    monkeypatch.setenv(LIMIT, "1KB")
    cache.keep_within_limit()
    assert _names() == ["used"]


@pytest.mark.parametrize("limit", [None, "", "  ", "1GB"])
def test_without_a_limit_or_within_it_all_stays(
    limit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make("old", days=400)
    _release()
    monkeypatch.delenv(LIMIT, raising=False)
    if limit is not None:
        monkeypatch.setenv(LIMIT, limit)
    cache.keep_within_limit()
    assert _names() == ["old"]


def test_half_made_folders_go_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make("whole", days=0)
    (root / "tools" / ".partial-killed").mkdir()
    monkeypatch.setenv(LIMIT, "1GB")
    cache.keep_within_limit()
    assert [path.name for path in (root / "tools").iterdir()] == ["whole"]


@pytest.mark.parametrize("text", ["20", "20GB", "1.5 GiB", "500mb"])
def test_a_size_is_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, text)
    expected = {"20": 20, "20GB": 20 * 10**9, "1.5 GiB": 3 << 29, "500mb": 500 * 10**6}
    assert cache.read_limit() == expected[text]


@pytest.mark.parametrize("text", ["twenty", "20 gigabytes", "-1GB", "1e9", "20GB 30GB", "²GB"])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(ConfigurationError, match="Write 20GB or 500MB"):
        cache.read_limit()


def test_sizes_are_those_that_were_written_down() -> None:
    entry = _make("entry", days=0, size_bytes=5000)
    (entry / "file").unlink()
    (found,) = cache.list_entries(by_manifest=True)
    assert found.size_bytes == 8192


def test_the_size_of_an_entry_of_an_earlier_version_is_that_of_its_files() -> None:
    entry = _make("entry", days=0, size_bytes=5000)
    manifest = entry / _manifest.FILENAME
    document = json.loads(manifest.read_text())
    del document["disk_bytes"]
    manifest.write_text(json.dumps(document))
    (found,) = cache.list_entries(by_manifest=True)
    assert found.size_bytes == 8192


@pytest.mark.parametrize("text", ["", "{", '{"disk_bytes":-1,"files":{}}'])
def test_an_entry_whose_manifest_is_damaged_is_measured(text: str) -> None:
    entry = _make("entry", days=0, size_bytes=50_000)
    (entry / _manifest.FILENAME).write_text(text)
    (found,) = cache.list_entries(by_manifest=True)
    assert found.size_bytes >= 50_000


def test_an_entry_that_is_read_anew_keeps_its_size() -> None:
    entry = _make("entry", days=0, size_bytes=5000)
    os.utime(entry / "file")
    assert cache.ensure("tools", "entry", lambda folder: pytest.fail(str(folder))) == entry
    assert _manifest.read_size(entry) == 8192
