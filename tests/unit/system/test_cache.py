"""What is cached is whole, or is made again: whatever happened to it meanwhile."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from packager.errors import StorageError
from packager.system import cache, file_tree
from packager.system.cache import _entries, _manifest, _place


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    for entry in list(_entries._held):
        _entries.release_entry(entry)


class Maker:
    """Makes an entry of a few files, and counts how often."""

    def __init__(self, outside: Path) -> None:
        self.outside = outside
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        if not self.outside.exists():
            self.outside.write_text("python")
        (folder / "lib").mkdir()
        (folder / "lib" / "code.py").write_text("whole")
        (folder / "tool").write_text("binary")
        (folder / "tool").chmod(0o755)
        (folder / "lib64").symlink_to("lib")
        (folder / "python").symlink_to(self.outside)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "interpreter")


def _state(entry: Path) -> tuple[str, str, bool]:
    return (
        (entry / "lib" / "code.py").read_text(),
        (entry / "python").resolve().read_text(),
        os.access(entry / "tool", os.X_OK),
    )


WHOLE = ("whole", "python", True)


def test_a_folder_is_made_once(root: Path, make: Maker) -> None:
    first = cache.ensure("kind", "key", make)
    second = cache.ensure("kind", "key", make)
    assert first == second == root / "kind" / "key"
    assert (make.times, _state(first)) == (1, WHOLE)


def _edit_keeping_times(entry: Path) -> None:
    path = entry / "lib" / "code.py"
    before = path.stat()
    path.write_text("wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace_by_link(entry: Path) -> None:
    elsewhere = entry.with_name("elsewhere")
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)


def _replace_by_file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("no folder")


def _turn_link(entry: Path) -> None:
    (entry / "python").unlink()
    (entry / "python").symlink_to("/bin/false")


def _lose_interpreter(entry: Path) -> None:
    (entry / "python").resolve().unlink()


def _empty(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.mkdir()


def _replace_by_dead_link(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.symlink_to("nowhere")


def _folder_for_manifest(entry: Path) -> None:
    (entry / _manifest.FILENAME).unlink()
    (entry / _manifest.FILENAME).mkdir()


def _fifo_for_file(entry: Path) -> None:
    (entry / "tool").unlink()
    os.mkfifo(entry / "tool")


def _link_for_file(entry: Path) -> None:
    moved = entry.with_name("moved")
    (entry / "lib" / "code.py").rename(moved)
    (entry / "lib" / "code.py").symlink_to(moved)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a file was cut short": lambda e: (e / "lib" / "code.py").write_text("wh"),
    "a file was edited": lambda e: (e / "lib" / "code.py").write_text("wrong"),
    "a file was edited and its time set back": _edit_keeping_times,
    "a file was emptied": lambda e: (e / "tool").write_bytes(b""),
    "a file is gone": lambda e: (e / "lib" / "code.py").unlink(),
    "a file cannot be started": lambda e: (e / "tool").chmod(0o644),
    "a file is a pipe": _fifo_for_file,
    "a file is a link": _link_for_file,
    "a folder is gone": lambda e: shutil.rmtree(e / "lib"),
    "a link leads elsewhere": _turn_link,
    "a link leads nowhere": _lose_interpreter,
    "everything is gone": _empty,
    "it is a file": _replace_by_file,
    "it is a link": _replace_by_link,
    "it is a link to nowhere": _replace_by_dead_link,
    "the manifest is gone": lambda e: (e / _manifest.FILENAME).unlink(),
    "the manifest was cut short": lambda e: (e / _manifest.FILENAME).write_text('{"format": 1, "f'),
    "the manifest is empty": lambda e: (e / _manifest.FILENAME).write_text(""),
    "the manifest is garbage": lambda e: (e / _manifest.FILENAME).write_bytes(b"\x00\xff\xfe" * 9),
    "the manifest is deep": lambda e: (e / _manifest.FILENAME).write_text("[" * 200_000),
    "the manifest is no object": lambda e: (e / _manifest.FILENAME).write_text("5"),
    "the manifest has other types": lambda e: (e / _manifest.FILENAME).write_text(
        '{"format": 1, "made": 5, "files": [1], "links": {}}'
    ),
    "the manifest is of another version": lambda e: (e / _manifest.FILENAME).write_text(
        '{"format": 0}'
    ),
    "the manifest is of another version alone": lambda e: (e / _manifest.FILENAME).write_text(
        re.sub('"format": ?1', '"format":2', (e / _manifest.FILENAME).read_text())
    ),
    "the manifest is a folder": _folder_for_manifest,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again_and_said_once(
    damage: str, make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    entry = cache.ensure("kind", "key", make)
    DAMAGES[damage](entry)
    with caplog.at_level(logging.WARNING, "packager"):
        assert cache.ensure("kind", "key", make) == entry
    assert (make.times, _state(entry)) == (2, WHOLE)
    assert [record.getMessage() for record in caplog.records] == [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("kind key in the cache is made again: ")
    ]
    assert len(caplog.records) == 1
    assert cache.ensure("kind", "key", make) == entry
    assert make.times == 2
    assert not [path for path in entry.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "added", ["lib/sitecustomize.py", "lib/evil.pth", "lib/__pycache__/code.pyc", "new/deep/file"]
)
def test_what_was_added_goes_away_and_the_rest_stays(added: str, make: Maker) -> None:
    entry = cache.ensure("kind", "key", make)
    (entry / added).parent.mkdir(parents=True, exist_ok=True)
    (entry / added).write_text("planted")
    assert cache.ensure("kind", "key", make) == entry
    assert not (entry / added).exists()
    assert (make.times, _state(entry)) == (1, WHOLE)


def test_a_link_that_was_added_goes_away_and_not_what_it_leads_to(
    make: Maker, tmp_path: Path
) -> None:
    entry = cache.ensure("kind", "key", make)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("keep")
    (entry / "lib" / "evil").symlink_to(mine)
    assert cache.ensure("kind", "key", make) == entry
    assert not (entry / "lib" / "evil").is_symlink()
    assert (mine / "file").read_text() == "keep"


def test_a_cache_that_was_restored_elsewhere_is_read_once_and_used(
    root: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = cache.ensure("kind", "key", make)
    os.utime(entry / "lib" / "code.py", ns=(1, 1))
    for name in ("tool",):
        shutil.copyfile(entry / name, entry / "copy")
        (entry / "copy").chmod(0o755)
        (entry / "copy").replace(entry / name)
    assert cache.ensure("kind", "key", make) == entry
    assert make.times == 1
    manifest = _manifest.read_manifest(entry)
    assert manifest is not None
    assert _manifest.compare_manifest(entry, manifest).touched == ()


def test_a_large_entry_is_read_only_where_its_times_say_so(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = cache.ensure("kind", "key", make)
    monkeypatch.setattr(_manifest, "_SMALL_BYTES", 0)
    read: list[Path] = []
    plain = file_tree.sha256

    def sha256(path: Path) -> str:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(file_tree, "sha256", sha256)
    assert _entries.find_damage(entry) is None
    assert read == []
    os.utime(entry / "tool")
    assert _entries.find_damage(entry) is None
    assert read == [entry / "tool"]


def test_a_failure_leaves_nothing(root: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        cache.ensure("kind", "key", make)
    assert list((root / "kind").iterdir()) == []


def test_the_first_of_two_that_race_wins() -> None:
    def fast(folder: Path) -> None:
        (folder / "who").write_text("fast")

    def slow(folder: Path) -> None:
        (folder / "who").write_text("slow")
        cache.ensure("kind", "key", fast)

    assert (cache.ensure("kind", "key", slow) / "who").read_text() == "fast"


def test_two_that_repair_at_once_both_get_a_whole_one(make: Maker) -> None:
    entry = cache.ensure("kind", "key", make)
    (entry / "lib" / "code.py").write_text("wrong")

    def slow(folder: Path) -> None:
        make(folder)
        cache.ensure("kind", "key", make)

    assert cache.ensure("kind", "key", slow) == entry
    assert _state(entry) == WHOLE
    assert [path.name for path in entry.parent.iterdir()] == ["key"]


def test_many_at_once_all_get_a_whole_one(make: Maker) -> None:
    """Threads stand for builds; each finds the entry damaged, and each repairs it or waits."""
    entry = cache.ensure("kind", "key", make)
    (entry / "tool").unlink()
    found: list[tuple[str, str, bool]] = []

    def run() -> None:
        found.append(_state(cache.ensure("kind", "key", make)))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [WHOLE] * 6
    assert [path.name for path in entry.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("kind", ["the root", "a kind"])
def test_a_file_where_a_folder_should_be_is_said(kind: str, root: Path, make: Maker) -> None:
    path = root if kind == "the root" else root / "kind"
    if kind == "a kind":
        _place.claim_place(root)
    path.write_text("")
    with pytest.raises(StorageError, match=r"cannot be written(?s:.)*PACKAGER_CACHE"):
        cache.ensure("kind", "key", make)


def test_a_full_disk_is_said_and_leaves_nothing(root: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match=r"disk is full(?s:.)*packager cache prune"):
        cache.ensure("kind", "key", make)
    assert list((root / "kind").iterdir()) == []


_AS_SOMEBODY = (
    "import os, sys; from pathlib import Path\n"
    "from packager.system import cache as _cache; from packager.errors import StorageError\n"
    "os.setgid(65534); os.setuid(65534)\n"
    "try:\n"
    "    print(_cache.ensure('kind', sys.argv[1], lambda folder: (folder / 'new').touch()))\n"
    "except StorageError as error:\n"
    "    print('StorageError', error)\n"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_cache_of_somebody_else_is_used_and_not_written(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker(open_folder / "interpreter")
    root = open_folder / "cache"
    monkeypatch.setenv("PACKAGER_CACHE", str(root))
    entry = cache.ensure("kind", "key", make)

    def ask(key: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", _AS_SOMEBODY, key],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        ).stdout

    assert ask("key") == f"{entry}\n"
    assert "cannot be written" in ask("other")
    (entry / "tool").unlink()
    assert "cannot be written" in ask("key")
    root.chmod(0o700)
    assert "cannot be read" in ask("key")


def test_what_cannot_be_read_is_made_again(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = cache.ensure("kind", "key", make)
    plain = _manifest._walk

    def walk(folder: Path) -> Iterator[tuple[str, str]]:
        if make.times == 1:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return plain(folder)

    monkeypatch.setattr(_manifest, "_walk", walk)
    monkeypatch.setattr(_manifest, "write_manifest", lambda *_: None)
    cache.ensure("kind", "key", make)
    assert (make.times, _state(entry)) == (2, WHOLE)


def test_digests_that_are_known_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(folder: Path) -> dict[str, str]:
        (folder / "file").write_text("x")
        return {"file": "ab" * 32}

    entry = cache.ensure("kind", "key", make)
    manifest = _manifest.read_manifest(entry)
    assert manifest is not None
    assert manifest.files["file"].sha256 == "ab" * 32


def test_names_that_are_no_text_are_kept(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9")

    def make(folder: Path) -> None:
        (folder / name).write_text("x")

    entry = cache.ensure("kind", "key", make)
    assert _entries.find_damage(entry) is None
    (entry / name).write_text("y")
    assert _entries.find_damage(entry) is not None


def test_the_cache_is_marked_as_one(root: Path, make: Maker) -> None:
    cache.ensure("kind", "key", make)
    assert (root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806")


@pytest.mark.parametrize("name", ["PACKAGER_CACHE", "XDG_CACHE_HOME", "HOME"])
def test_where_it_lies(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("PACKAGER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, str(tmp_path))
    ends = {
        "PACKAGER_CACHE": tmp_path,
        "XDG_CACHE_HOME": tmp_path / "serverless-model-packager",
        "HOME": tmp_path / ".cache" / "serverless-model-packager",
    }
    assert cache.root() == ends[name]


def test_bytes_are_computed_once_and_again_where_they_were_changed(root: Path) -> None:
    computed = []

    def compute() -> bytes:
        computed.append(1)
        return b"bytes"

    for count in (1, 1):
        assert cache.remember("kind", "key", compute) == b"bytes"
        assert len(computed) == count
    assert not _entries._held
    _edit = root / "kind" / "key" / "content"
    _edit.write_bytes(b"other")
    assert cache.remember("kind", "key", compute) == b"bytes"
    assert len(computed) == 2


def test_bytes_that_cannot_be_computed_leave_nothing(root: Path) -> None:
    def compute() -> bytes:
        raise KeyError("no")

    with pytest.raises(KeyError):
        cache.remember("kind", "key", compute)
    assert not list((root / "kind").iterdir())


def test_without_a_home_a_folder_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PACKAGER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_place, "find_home", lambda: None)

    with pytest.raises(StorageError, match="Name a folder in PACKAGER_CACHE"):
        _place.root()


def test_threads_of_one_process_make_an_entry_once(make: Maker) -> None:
    begun = threading.Barrier(4)

    def slow(folder: Path) -> None:
        time.sleep(0.05)
        make(folder)

    def ask(_: int) -> Path:
        begun.wait()
        return cache.ensure("kind", "key", slow)

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(4)))
    assert (make.times, len(found)) == (1, 1)
