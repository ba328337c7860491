"""Folders for a moment: gone at their end, and swept where whoever made them was killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packager.system import scratch
from packager.system.scratch import make_scratch, remove_tree, sweep

WAITING = (
    "import time\nfrom packager.system.scratch import make_scratch\n"
    "with make_scratch('boot') as folder:\n"
    "    (folder / 'inside').mkdir()\n    print(folder, flush=True)\n    time.sleep(60)\n"
)
HOLDS = "packager-boot-0123abcd.scratch"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, of this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch._sweep_once.cache_clear()
    return tmp_path


def test_it_is_gone_with_all_in_it_whatever_ends_it(place: Path) -> None:
    def fill_and_stop() -> None:
        with make_scratch("trace") as folder:
            assert folder.parent == place
            assert folder.stat().st_mode & 0o777 == 0o700
            (folder / "a" / "b").mkdir(parents=True)
            (folder / "a" / "b" / "file").write_text("x")
            (folder / "a" / "b").chmod(0o000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_and_stop()
    assert list(place.iterdir()) == []


def test_what_links_lead_to_stays_as_it_is(tmp_path: Path) -> None:
    kept, removed = tmp_path / "kept", tmp_path / "removed"
    kept.mkdir(mode=0o700)
    (kept / "file").write_text("mine")
    removed.mkdir()
    (removed / "link").symlink_to(kept)
    (removed / "file").symlink_to(kept / "file")
    remove_tree(removed)
    assert not removed.exists()
    assert (kept / "file").read_text() == "mine"
    assert kept.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_left_is_swept_by_the_next(
    number: signal.Signals, place: Path
) -> None:
    env = {**os.environ, "TMPDIR": str(place)}
    argv = [sys.executable, "-c", WAITING]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        assert left.is_dir()
        with make_scratch("trace"):
            assert left.is_dir()
        process.send_signal(number)
        process.wait(20)
    assert left.is_dir()
    # once a process is enough: another begins by it
    subprocess.run([sys.executable, "-c", WAITING.replace("60", "0")], env=env, check=True)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("packager-notes", Path.mkdir),
        ("packager-boot-0123abcd", Path.mkdir),
        ("mypackager-boot-0123abcd.scratch", Path.mkdir),
        ("packager-boot-0123abcd.scratch.old", Path.mkdir),
        ("packager-boot-0123abcX.scratch", Path.mkdir),
        (HOLDS, Path.touch),
        (HOLDS, lambda path: path.symlink_to(path.parent.parent)),
    ],
)
def test_what_is_not_ours_is_not_swept(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / name)
    sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_another_user_s_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / HOLDS).mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    sweep(tmp_path)
    assert (tmp_path / HOLDS).is_dir()
    monkeypatch.undo()
    sweep(tmp_path)
    assert not (tmp_path / HOLDS).exists()


def test_one_that_is_swept_before_it_is_locked_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    swept: list[Path] = []

    def lose_race(fd: int, how: int) -> None:
        if not swept and not how & fcntl.LOCK_NB:
            (folder,) = place.iterdir()
            swept.append(folder)
            folder.rmdir()
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", lose_race)
    with make_scratch("trace") as folder:
        assert folder.is_dir()
        assert folder not in swept
        assert len(swept) == 1
    assert list(place.iterdir()) == []


def test_many_at_once_do_not_sweep_each_other(place: Path) -> None:
    code = (
        "import sys\nfrom packager.system import scratch\n"
        "from pathlib import Path\nimport tempfile\n"
        "for _ in range(150):\n"
        "    scratch.sweep(Path(tempfile.gettempdir()))\n"
        "    with scratch.make_scratch('boot') as folder:\n"
        "        (folder / 'x').write_text('x')\n"
        "        assert (folder / 'x').read_text() == 'x'\n"
    )
    env = {**os.environ, "TMPDIR": str(place)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=env) for _ in range(3)]
    until = time.monotonic() + 60
    assert [each.wait(until - time.monotonic()) for each in running] == [0, 0, 0]
    assert list(place.iterdir()) == []


def test_a_place_that_is_gone_or_cannot_be_listed_is_no_endless_loop(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(scratch, "sweep", refuse)
        with make_scratch("trace") as folder:
            assert folder.is_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(place / "gone"))
    with pytest.raises(FileNotFoundError), make_scratch("trace"):
        pass
    scratch._sweep_once.cache_clear()
