from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from packager.errors import ConfigurationError, StorageError
from packager.system import atomic_output


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_output_appears_whole(tmp_path: Path) -> None:
    with atomic_output.replacing(tmp_path / "dist") as place:
        (place.out / "report.json").write_text("{}")
        assert not (tmp_path / "dist").exists()

    assert names(tmp_path) == ["dist"]
    assert names(tmp_path / "dist") == ["report.json"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit, ConfigurationError])
def test_whatever_stops_a_build_leaves_the_earlier_artifact(
    stop: type[BaseException], tmp_path: Path
) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "report.json").write_text("old")

    def build() -> None:
        with atomic_output.replacing(tmp_path / "dist") as place:
            (place.out / "report.json").write_text("new")
            place.stage("model").chmod(0o500)
            raise stop

    with pytest.raises(stop):
        build()

    assert names(tmp_path) == ["dist"]
    assert (tmp_path / "dist" / "report.json").read_text() == "old"


def test_an_earlier_artifact_is_replaced(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_output.replacing(tmp_path / "dist") as place:
            (place.out / "report.json").write_text(text)
            (place.out / text).touch()

    assert names(tmp_path / "dist") == ["new", "report.json"]


def test_files_that_no_build_made_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with (
        pytest.raises(ConfigurationError, match="no build made"),
        atomic_output.replacing(tmp_path),
    ):
        pass

    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_folder_of_other_artifacts_is_told_from_files_of_yours(tmp_path: Path) -> None:
    for name in ("wine", "churn"):
        (tmp_path / "dist" / name).mkdir(parents=True)
        (tmp_path / "dist" / name / "report.json").touch()

    said = r"holds other artifacts \(churn, wine\)\. .* for example --out dist/NAME"
    with pytest.raises(ConfigurationError, match=said):
        atomic_output.refuse_foreign(tmp_path / "dist")


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()

    with atomic_output.replacing(tmp_path / "dist") as place:
        (place.out / "report.json").touch()

    assert names(tmp_path / "dist") == ["report.json"]


def test_the_folders_above_are_made(tmp_path: Path) -> None:
    with atomic_output.replacing(tmp_path / "a" / "b" / "dist") as place:
        (place.out / "report.json").touch()
    assert names(tmp_path / "a" / "b") == ["dist"]


def test_a_file_or_a_link_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)

    for name in ("file", "link"):
        with pytest.raises(ConfigurationError), atomic_output.replacing(tmp_path / name):
            pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="disk is full"),
        atomic_output.replacing(tmp_path / "dist"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert names(tmp_path) == []


def test_what_a_killed_build_left_is_swept_and_a_running_one_let_be(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".dist.partial-{dead.pid}" / "out").mkdir(parents=True)
    (tmp_path / f".dist.partial-{os.getppid()}").mkdir()

    with atomic_output.replacing(tmp_path / "dist") as place:
        (place.out / "report.json").touch()

    assert names(tmp_path) == [f".dist.partial-{os.getppid()}", "dist"]


def test_a_running_build_of_another_user_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: int, signal: int) -> None:
        assert (process, signal) == (1, 0), "it is asked for, and sent nothing"
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    (tmp_path / ".dist.partial-1").mkdir()
    with atomic_output.replacing(tmp_path / "dist") as place:
        (place.out / "report.json").touch()
    assert names(tmp_path) == [".dist.partial-1", "dist"]


def test_nothing_of_a_scratch_place_stays() -> None:
    with atomic_output.scratch() as place:
        (place.stage("model") / "x").touch()
    assert not place.root.exists()


@pytest.mark.parametrize(
    ("number", "named", "kind"),
    [
        (errno.EDQUOT, "", StorageError),
        (errno.ENOTDIR, "dist", ConfigurationError),
        # of another place, or of nothing that is ours to explain
        (errno.ENOTDIR, "/elsewhere", OSError),
        (errno.ECHILD, "dist", OSError),
    ],
)
def test_an_error_of_the_place_is_explained_and_any_other_goes_on(
    number: int, named: str, kind: type[Exception], tmp_path: Path
) -> None:
    def build() -> None:
        with atomic_output.replacing(tmp_path / "dist"):
            raise OSError(number, os.strerror(number), str(tmp_path / named))

    with pytest.raises(kind):
        build()
    assert names(tmp_path) == []


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "state.json", tmp_path / "other"
    other.write_text("theirs")
    path.symlink_to(other)
    atomic_output.replace_file(path, b"one", 0o600)
    assert (path.read_bytes(), path.is_symlink(), other.read_text()) == (b"one", False, "theirs")
    assert path.stat().st_mode & 0o777 == 0o600

    def fill(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(OSError, match="No space"):
        atomic_output.replace_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "state.json"]


def test_folders_on_the_way_go_away_again_where_a_build_fails(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with (
        pytest.raises(RuntimeError),
        atomic_output.replacing(tmp_path / "mine" / "a" / "b" / "dist"),
    ):
        raise RuntimeError

    assert [*tmp_path.rglob("*")] == [tmp_path / "mine"]


def test_folders_on_the_way_stay_with_what_came_into_them(tmp_path: Path) -> None:
    def build() -> None:
        with atomic_output.replacing(tmp_path / "a" / "b" / "dist"):
            (tmp_path / "a" / "another").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        build()
    assert [*tmp_path.rglob("*")] == [tmp_path / "a", tmp_path / "a" / "another"]

    with atomic_output.replacing(tmp_path / "c" / "dist") as place:
        (place.out / "report.json").touch()
    assert (tmp_path / "c" / "dist" / "report.json").is_file()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is of Linux")
def test_a_file_system_that_takes_no_folder_is_named() -> None:
    with (
        pytest.raises(StorageError, match=r"(?s)/proc.*Name a.* folder"),
        atomic_output.replacing(Path("/proc/packager/dist")),
    ):
        pass
