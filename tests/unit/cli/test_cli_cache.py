"""`packager cache` as it is typed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from packager import cli
from packager.cli._cache import read_bytes, read_seconds
from packager.errors import StorageError
from packager.system import cache
from packager.system.cache import _entries, _manifest, _upkeep

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


def test_a_cache_that_is_a_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "file"))
    done = RUN.invoke(cli.app, ["cache", "info"])
    assert isinstance(done.exception, StorageError)
    assert "Not a directory" in str(done.exception)


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


def test_where_it_is_stands_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"[bold] {'long ' * 40}end"
    monkeypatch.setenv("PACKAGER_CACHE", str(folder))
    assert str(folder) in RUN.invoke(cli.app, ["cache", "info"]).output.splitlines()


def _put_files(folder: Path) -> None:
    """A home folder as it may look, with all that a prune or a clear might take for its own."""
    for name in (
        "project/.git/config",
        "project/.partial-notes/text",
        f"blobs/{'ab' * 32}/blob",
        "environments/mine/bin/python",
        "notes.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")


def _read_tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


FOREIGN_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache tag of uv\n"


@pytest.mark.parametrize("tag", [None, FOREIGN_TAG, ""])
@pytest.mark.parametrize("words", [("info",), ("prune",), ("clear", "--yes"), ("verify",)])
def test_a_folder_that_is_no_cache_is_neither_read_nor_emptied(
    words: tuple[str, ...], tag: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    _put_files(home)
    if tag is not None:
        (home / "CACHEDIR.TAG").write_text(tag)
    before = _read_tree(home)
    monkeypatch.setenv("PACKAGER_CACHE", str(home))

    done = RUN.invoke(cli.app, ["cache", *words])

    assert isinstance(done.exception, StorageError)
    assert "is not a cache of packager" in str(done.exception)
    assert "PACKAGER_CACHE" in str(done.exception)
    assert _read_tree(home) == before


def test_a_folder_that_is_no_cache_is_not_filled_and_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that make copies of a home leave out a folder with such a tag."""
    _put_files(tmp_path / "home")
    before = _read_tree(tmp_path / "home")
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "home"))

    with pytest.raises(StorageError, match="is not a cache of packager"):
        cache.ensure("tools", "x", _fill)

    assert _read_tree(tmp_path / "home") == before


@pytest.mark.parametrize("names", [(), ("lost+found",), (".CACHEDIR.TAG.1a2b",)])
def test_an_empty_folder_becomes_a_cache(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("disk", *(f"disk/{name}" for name in names)):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "disk"))
    assert _ask("info")["entries"] == []
    cache.ensure("tools", "x", _fill)
    assert _left() == ["tools/x"]


def test_what_others_put_into_a_cache_stays(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    _put_files(outside)
    (root / "tools" / ".git").mkdir()
    (root / "tools" / "link").symlink_to(outside / "environments" / "mine")
    (root / "kind").symlink_to(outside)
    (root / "tools" / ".partial-link").symlink_to(outside / "project")
    (root / "tools" / ".partial-left").mkdir()
    (root / "tools" / ".partial-left" / "inner").symlink_to(outside)
    before = _read_tree(outside)

    assert _ask("clear", "--yes")["removed"] == ["answers/new", "tools/old"]

    assert _read_tree(outside) == before
    assert {path.name for path in (root / "tools").iterdir()} == {".git", "link", ".partial-link"}


def test_a_link_of_the_tag_s_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "CACHEDIR.TAG").symlink_to(tmp_path / "outside")
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "disk"))
    with pytest.raises(StorageError, match="is not a cache of packager"):
        cache.ensure("tools", "x", _fill)
    assert not (tmp_path / "outside").exists()


def test_an_entry_that_goes_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _upkeep._size_bytes

    def vanish(folder: Path) -> int:
        if folder.name == "new":
            shutil.rmtree(folder)
        return measured(folder)

    monkeypatch.setattr(_upkeep, "_size_bytes", vanish)
    assert [entry["name"] for entry in _ask("info")["entries"]] == ["tools/old"]


_AS_SOMEBODY = """
import os, sys
import contextvars
from typer.testing import CliRunner
from packager import cli
from packager.commands import console
from packager.errors import StorageError
# what is imported late: another user may not read this program's own folders
CliRunner().invoke(cli.app, ["cache", *sys.argv[1:], "--help"])
CliRunner().invoke(cli.app, ["cache", "info"])
console.show_error(StorageError(""))
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.argv = ["packager", "cache", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.few(1)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("info",), 0, "answers"),
        (("prune", "--max-size", "0"), 0, "kept tools/old"),
        (("clear", "--yes"), 0, "kept tools/old"),
        (("verify",), 0, "2 entries read, 0 damaged"),
    ],
)
def test_a_cache_that_cannot_be_written_stays(
    words: tuple[str, ...],
    code: int,
    said: str,
    root: Path,
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = root.rename(open_folder / "cache")
    monkeypatch.setenv("PACKAGER_CACHE", str(root))
    left = root / "tools" / ".partial-left"
    left.mkdir()
    (left / "file").write_bytes(os.urandom(50_000))
    before = _read_tree(root)

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _AS_SOMEBODY, *words], capture_output=True, text=True,
            check=False, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    done = ask()
    assert (done.returncode, said in done.stdout) == (code, True), done
    assert "0.0 MB freed" in done.stdout or "freed" not in done.stdout
    assert _read_tree(root) == before
    (root / "tools" / "old").chmod(0o700)
    done = ask()
    assert (done.returncode, done.stdout) == (StorageError.exit_code, "")
    assert f"{root / 'tools' / 'old'}" in done.stderr
