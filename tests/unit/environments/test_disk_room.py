"""A build says before it begins that a disk has little room."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from packager.environments import disk_room
from packager.environments.disk_room import LEAST_FREE_BYTES, warn_of_room


class Usage(NamedTuple):
    free: int


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    return tmp_path / "cache"


def _warn(
    free: int, output: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> str:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(free))
    with caplog.at_level(logging.WARNING):
        warn_of_room(output)
    return caplog.text


def test_room_enough_is_not_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert _warn(LEAST_FREE_BYTES, tmp_path / "out", monkeypatch, caplog) == ""


def test_places_on_one_disk_are_one_thing_that_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = _warn(1_240_000_000, tmp_path / "out", monkeypatch, caplog)
    assert said.count("\n") == 1
    assert (
        f"Little room is left: 1.2 GB for TMPDIR ({tmp_path}), output folder ({tmp_path}/out) and "
        f"cache ({tmp_path}/cache). A build of a usual model takes up to 5 GB, and stops with exit "
        "code 9 if the disk is full: free space (`packager cache prune --max-size 10GB`), or set "
        "TMPDIR or PACKAGER_CACHE to a larger disk." in said
    )


def test_places_on_several_disks_are_named_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def measure(name: str, path: Path) -> disk_room.Room:
        device = len(name)
        free = 10**9 if name == "cache" else LEAST_FREE_BYTES
        return disk_room.Room(name=name, path=path, free_bytes=free, device=device)

    monkeypatch.setattr(disk_room, "_measure_room", measure)
    said = _warn(0, tmp_path / "out", monkeypatch, caplog)
    assert f"left: 1.0 GB for cache ({tmp_path}/cache). A" in said


@pytest.mark.parametrize(
    "fault", [(errno.EACCES, "is_dir"), (errno.ENAMETOOLONG, "is_dir"), (errno.EIO, "stat")]
)
def test_a_place_that_cannot_be_looked_at_is_left_to_the_build(
    fault: tuple[int, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    number, name = fault
    closed, ask = tmp_path / "closed" / "out", getattr(Path, name)
    (tmp_path / "closed").mkdir()

    def refuse(path: Path, **options: bool) -> object:
        if path.is_relative_to(closed.parent):
            raise OSError(number, os.strerror(number), str(path))
        return ask(path, **options)

    monkeypatch.setattr(Path, name, refuse)
    assert _warn(LEAST_FREE_BYTES, closed, monkeypatch, caplog) == ""
    rooms = {room.name: room for room in disk_room.list_rooms(closed)}
    assert os.strerror(number) in rooms["output folder"].about
    assert not rooms["output folder"].is_enough
    assert rooms["TMPDIR"].is_enough


def test_a_disk_that_does_not_answer_is_left_to_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path) -> Usage:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    with caplog.at_level(logging.WARNING):
        warn_of_room(tmp_path)
    assert caplog.text == ""


def test_a_cache_that_has_no_place_is_left_to_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("PACKAGER_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("packager.system.cache._place.find_home", lambda: None)
    assert _warn(LEAST_FREE_BYTES, tmp_path, monkeypatch, caplog) == ""
