"""The artifact of an earlier build: taken where nothing has changed, and whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from packager.errors import VerificationError
from packager.pipeline import baseline, build
from packager.pipeline.output import reuse
from packager.system import atomic_output, cache
from packager.system.cache._entries import release_entry
from packager.types import Provided, make_request

Make = Callable[..., Provided]


class Build:
    """The stages as fakes: how often they built, and what the artifact would hang on."""

    def __init__(self) -> None:
        self.times = 0
        self.key = "ab" * 32

    def write(self, _attempts: object, place: atomic_output.Place, *_: object) -> SimpleNamespace:
        self.times += 1
        (place.out / "function").mkdir()
        (place.out / "function" / "model").write_text(f"build {self.times}")
        (place.out / "report.json").write_text("{}")
        return SimpleNamespace(lacks_audit=False)


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    made = Build()
    for name in ("resolve", "plan", "check_provable", "check_place"):
        monkeypatch.setattr(build, name, lambda *_: ())
    monkeypatch.setattr(baseline, "check_table", lambda *_: None)
    monkeypatch.setattr(build, "make_key", lambda _: made.key)
    monkeypatch.setattr(build, "_build_planned", made.write)
    return made


@pytest.fixture
def provide(tmp_path: Path, stages: Build) -> Iterator[Make]:
    registry: Any = None

    def make(out: str = "dist", **settings: Any) -> Provided:
        request = make_request("models:/x/1", out_dir=tmp_path / out, **settings)
        return build.build_or_reuse(request, registry)

    yield make
    assert not list(tmp_path.glob(".*partial*"))


def _read(folder: Path) -> str:
    return (folder / "function" / "model").read_text()


def test_nothing_is_built_twice(provide: Make, stages: Build) -> None:
    first = provide()
    before = (first.folder / "report.json").stat()
    again = provide()

    assert (first.reused, stages.times) == ("", 1)
    assert again.reused == f"Nothing has changed: {first.folder} holds this artifact already."
    now = (first.folder / "report.json").stat()
    assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_audit_that_is_asked_anew_takes_nothing_kept(provide: Make, stages: Build) -> None:
    provide(audit=True)

    assert provide(audit=True).reused
    assert not provide(audit=True, refresh_audit=True).reused
    assert stages.times == 2


def test_another_folder_gets_the_same_artifact(provide: Make, stages: Build) -> None:
    provide()
    again = provide("other")

    assert (again.reused, stages.times) == (
        "Nothing has changed: the artifact of an earlier build is taken.",
        1,
    )
    assert _read(again.folder) == "build 1"


def test_what_was_changed_in_the_output_folder_is_made_good(provide: Make, stages: Build) -> None:
    folder = provide().folder
    (folder / "function" / "model").write_text("changed")
    (folder / "function" / "more").write_text("added")

    assert "earlier build" in provide().reused
    assert (_read(folder), stages.times) == ("build 1", 1)
    assert not (folder / "function" / "more").exists()


def test_what_hangs_on_other_things_is_built(provide: Make, stages: Build) -> None:
    provide()
    stages.key = "cd" * 32

    assert not provide().reused
    assert stages.times == 2
    stages.key = "ab" * 32
    assert _read(provide().folder) == "build 1"


def test_a_damaged_artifact_is_built_again(provide: Make, stages: Build, tmp_path: Path) -> None:
    provide()
    kept = tmp_path / "cache" / reuse.KIND / stages.key / "function" / "model"
    kept.write_text("damaged")

    assert not provide("other").reused
    assert (_read(tmp_path / "other"), kept.read_text()) == ("build 2", "build 2")


def test_without_reuse_it_is_built_again_and_kept(
    provide: Make, stages: Build, tmp_path: Path
) -> None:
    provide()

    assert not provide(reuse=False).reused
    assert stages.times == 2
    assert provide("other").reused
    assert _read(tmp_path / "other") == "build 2"


def test_a_build_that_fails_keeps_nothing(
    provide: Make, stages: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_attempts: object, place: atomic_output.Place) -> None:
        (place.out / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_build_planned", fail)
    with pytest.raises(KeyboardInterrupt):
        provide()

    assert not cache.list_entries()
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("ended", ["by auto", "reused", "refused"])
def test_the_cache_is_kept_within_its_limit_however_a_build_ended(
    ended: str, provide: Make, stages: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise VerificationError([])

    def fill(folder: Path) -> None:
        (folder / "file").write_bytes(b"0" * 100_000)

    if ended == "reused":
        provide()
    entry = cache.ensure("tools", "old", fill)
    release_entry(entry)
    monkeypatch.setenv("PACKAGER_CACHE_MAX_SIZE", "1KB")
    if ended == "by auto":
        monkeypatch.setattr(build, "move_paths", lambda *_: None)
        build.build(make_request("models:/x/1", out_dir=tmp_path / "dist"), None)  # type: ignore[arg-type]
    elif ended == "reused":
        assert provide().reused
    else:
        monkeypatch.setattr(build, "_build_planned", refuse)
        with pytest.raises(VerificationError):
            provide()
    assert not entry.exists()


def test_where_the_cache_takes_nothing_the_build_is_good_all_the_same(
    provide: Make, stages: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "letter.txt").touch()  # somebody's own folder

    assert _read(provide().folder) == "build 1"
    assert "not kept" in caplog.text
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["letter.txt"]


def test_the_oldest_go_when_many_are_kept(
    provide: Make, stages: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "_MOST", 2)
    for name in ("a", "b", "c"):
        stages.key = name * 64
        provide()

    assert [entry.path.name[0] for entry in cache.list_entries(reuse.KIND)] == ["b", "c"]
