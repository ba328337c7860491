"""`packager cache` as it is typed."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from packager import cli
from packager.cli._cache import read_bytes, read_seconds
from packager.system import cache
from packager.system.cache import _entries, _manifest

RUN = CliRunner()
DAY = 86_400


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two entries: answers of today, and tools that nobody used for 60 days."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    for kind, key, days in (("answers", "new", 0), ("tools", "old", 60)):
        entry = cache.ensure(kind, key, _fill)
        stamp = time.time() - days * DAY
        os.utime(entry / _manifest.FILENAME, (stamp, stamp))
    _release()
    yield tmp_path / "cache"
    _release()


def _release() -> None:
    for entry in list(_entries._held):
        _entries.release_entry(entry)


def _fill(folder: Path) -> None:
    (folder / "file").write_bytes(os.urandom(100_000))


def _ask(*words: str, code: int = 0) -> dict[str, Any]:
    done = RUN.invoke(cli.app, ["cache", *words, "--json"])
    assert done.exit_code == code, done.output
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def _left() -> list[str]:
    return [entry.name for entry in cache.list_entries()]


def test_info_says_what_there_is(root: Path) -> None:
    found = _ask("info")
    assert found["folder"] == str(root)
    assert [row["kind"] for row in found["kinds"]] == ["answers", "tools"]
    assert found["size_bytes"] == sum(row["size_bytes"] for row in found["kinds"]) >= 200_000
    assert [row["name"] for row in found["entries"]] == ["answers/new", "tools/old"]
    shown = RUN.invoke(cli.app, ["cache", "info"]).output
    assert re.search(r"tools +1 +0\.1 MB", shown)


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        ((), []),
        (("--older-than", "30d"), ["tools/old"]),
        (("--older-than", "9w"), []),
        (("--max-size", "150KB"), ["tools/old"]),
        (("--max-size", "0"), ["tools/old", "answers/new"]),
        (("--max-size", "1GB", "--older-than", "12h"), ["tools/old"]),
    ],
)
def test_prune_removes_what_is_old_or_too_much(words: tuple[str, ...], gone: list[str]) -> None:
    found = _ask("prune", *words)
    assert found["removed"] == gone
    assert sorted([*_left(), *gone]) == ["answers/new", "tools/old"]
    assert (found["freed_bytes"] > 0) is bool(gone)


@pytest.mark.parametrize(
    "words",
    [
        ("prune", "--max-size", "much"),
        ("prune", "--max-size", "-1GB"),
        ("prune", "--older-than", "30"),
        ("prune", "--older-than", "yesterday"),
        ("clear",),
        ("remove",),
        (),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_and_removes_nothing(words: tuple[str, ...]) -> None:
    assert RUN.invoke(cli.app, ["cache", *words]).exit_code == 2
    assert _left() == ["answers/new", "tools/old"]


def test_clear_removes_all_that_is_not_used(root: Path) -> None:
    (root / "photos").mkdir()
    (root / "photos" / "sea.jpg").touch()
    cache.ensure("answers", "new", _fill)
    assert _ask("clear", "--yes")["kept"] == ["answers/new"]
    _release()
    assert _ask("clear", "--yes")["removed"] == ["answers/new"]
    assert _left() == []
    assert (root / "photos" / "sea.jpg").exists()


def test_verify_removes_what_is_damaged_and_says_so(root: Path) -> None:
    assert _ask("verify") == {
        "folder": str(root),
        "checked": 2,
        "damaged": [],
        "removed": [],
        "in_use": [],
    }
    (root / "tools" / "old" / "file").write_text("cut")
    found = _ask("verify", code=1)
    assert found["damaged"] == [{"name": "tools/old", "why": "changed: file"}]
    assert found["removed"] == ["tools/old"]
    assert _left() == ["answers/new"]


@pytest.mark.parametrize("words", [("info",), ("prune",), ("clear",), ("verify",)])
def test_an_empty_cache_is_none_of_an_error(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "none"))
    assert RUN.invoke(cli.app, ["cache", *words]).exit_code == 0
    assert not (tmp_path / "none").exists()


def test_a_cache_that_is_a_file_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "file"))
    assert _ask("info")["entries"] == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("10GB", 10**10), ("1.5 GiB", 3 * 2**29), ("7", 7), ("500mb", 5 * 10**8), ("2T", 2 * 10**12)],
)
def test_sizes(text: str, size: int) -> None:
    assert read_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * DAY), ("12 h", DAY // 2), ("90m", 5400), ("2w", 14 * DAY)]
)
def test_spans(text: str, seconds: int) -> None:
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "GB", "1e9", "1XB", "inf", "nan", "9" * 5000, "1 0GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_bytes(text)
