"""Installed files are those that their wheels list, whatever was done to uv's copies of them."""

from __future__ import annotations

import logging
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from packager.environments import interpreters, lockfile, virtual_environments
from packager.environments.lockfile import Wanted
from packager.environments.wheel_record import compare_record
from packager.errors import ToolError
from packager.system import cache as _cache
from packager.types import Lock
from tests import wheels

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
FILES = {"own/__init__.py": "ANSWER = 42\n", "own/deep/data.txt": "text", "single.py": "1\n"}


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of uv of our own, and no index."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "packager"))
    return tmp_path / "uv"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with two wheels in it."""
    wheels.make(tmp_path / "model", "own", FILES, hashed=True)
    wheels.make(tmp_path / "model", "other", {"other/__init__.py": ""}, hashed=True)
    return tmp_path / "model"


def _lock(model: Path) -> Lock:
    lines = tuple(sorted(path.name for path in model.glob("*.whl")))
    wanted = Wanted(
        requirements=tuple(f"./{line}" for line in lines),
        interpreter=interpreters.find(HERE),
        platform="x86_64-manylinux_2_34",
        base=model,
    )
    return lockfile.lock(wanted)


def _install(model: Path, target: Path) -> None:
    lockfile.install(
        _lock(model),
        target,
        interpreter=interpreters.find(HERE),
        platform="x86_64-manylinux_2_34",
        cwd=model,
    )


def _copy_in(cache: Path, name: str) -> Path:
    """The file of that name in uv's unpacked copy of a wheel."""
    (found,) = cache.glob(f"archive-v0/*/{name}")
    return found


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda cache: _copy_in(cache, "own/__init__.py").write_text("ANSWER = 41\n"),
    "edited at the top": lambda cache: _copy_in(cache, "single.py").write_text("0\n"),
    "emptied": lambda cache: _copy_in(cache, "own/deep/data.txt").write_text(""),
    "removed": lambda cache: _copy_in(cache, "own/deep/data.txt").unlink(),
    "added": lambda cache: (_copy_in(cache, "own/__init__.py").parent / "more.py").write_text(""),
    "run at every start": lambda cache: (
        _copy_in(cache, "single.py").with_name("evil.pth").write_text("import own")
    ),
    "in the way of the library": lambda cache: (
        _copy_in(cache, "single.py").with_name("sitecustomize.py").write_text("")
    ),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_in_the_installer_s_cache_is_fetched_again(
    change: str, caches: Path, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _install(model, tmp_path / "first")
    CHANGES[change](caches)
    with caplog.at_level(logging.WARNING, "packager"):
        _install(model, tmp_path / "second")
    names = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*"))
    again = [path.relative_to(tmp_path / "second") for path in (tmp_path / "second").rglob("*")]
    assert sorted(again) == names
    for name, content in FILES.items():
        assert (tmp_path / "second" / name).read_text() == content
    assert ["Fetched again" in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    _install(model, tmp_path / "third")
    assert not caplog.records


def test_an_environment_is_held_to_the_lists_too(caches: Path, model: Path) -> None:
    interpreter = interpreters.find(HERE)

    def make(label: str) -> Path:
        lines = ["./own-1.0-py3-none-any.whl"]
        python = virtual_environments.ensure(
            interpreter, lines, base=model, label=label, compiled=True
        )
        (site,) = python.parent.parent.glob("lib/python*/site-packages")
        return site

    assert (make("first") / "own" / "__init__.py").stat().st_nlink == 1
    CHANGES["edited"](caches)
    site = make("second")
    assert (site / "own" / "__init__.py").read_text() == FILES["own/__init__.py"]
    assert list((site / "own" / "__pycache__").glob("*.pyc"))
    (site / "own" / "__init__.py").write_text("ANSWER = 40\n")
    (site / "usercustomize.py").write_text("")
    site = make("second")
    assert (site / "own" / "__init__.py").read_text() == FILES["own/__init__.py"]
    assert not (site / "usercustomize.py").exists()


def test_a_wheel_that_is_not_what_it_lists_is_refused_by_name(model: Path, tmp_path: Path) -> None:
    path = wheels.make(model, "wrong", {"wrong/code.py": "x"}, hashed=True)
    wheels.replace_member(path, "wrong/code.py", b"x", b"y")
    with pytest.raises(ToolError, match=r"wrong/code\.py of wrong is not the file(?s:.)*another"):
        _install(model, tmp_path / "target")


def test_a_wheel_that_lists_too_little_is_installed(model: Path, tmp_path: Path) -> None:
    sloppy = {"sloppy/__init__.py": ""}
    wheels.make(model, "sloppy", sloppy, hashed=True, unlisted={"sloppy/data.bin": "x"})
    _install(model, tmp_path / "target")
    assert (tmp_path / "target" / "sloppy" / "data.bin").read_text() == "x"


@pytest.mark.parametrize("third", [False, True])
def test_a_file_that_two_wheels_bring_is_as_one_of_them_lists_it(
    caches: Path, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, third: bool
) -> None:
    for name in ("left", "right"):
        wheels.make(model, name, {"shared/__init__.py": f"# {name}\n"}, hashed=True)
    if third:
        wheels.make(model, "third", {"shared/__init__.py": "# third\n"})
    with caplog.at_level(logging.WARNING, "packager"):
        _install(model, tmp_path / "target")
    assert not caplog.records
    assert (tmp_path / "target" / "shared" / "__init__.py").read_text().startswith("# ")


def test_a_list_that_was_changed_does_not_have_other_files_removed(
    caches: Path, model: Path, tmp_path: Path
) -> None:
    _install(model, tmp_path / "first")
    mine = tmp_path / "mine"
    mine.write_text("keep")
    record = _copy_in(caches, "own-1.0.dist-info/RECORD")
    record.write_text(record.read_text() + "../mine,,\n")
    CHANGES["edited"](caches)
    _install(model, tmp_path / "second")
    assert mine.read_text() == "keep"


def test_a_list_that_was_changed_with_its_file_is_noticed_where_both_were_seen_before(
    caches: Path, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _install(model, tmp_path / "first")
    for record in caches.glob("archive-v0/*/own-1.0.dist-info/RECORD"):
        other = wheels.make(tmp_path, "own", {**FILES, "single.py": "0\n"}, hashed=True)
        with zipfile.ZipFile(other) as archive:
            record.write_bytes(archive.read("own-1.0.dist-info/RECORD"))
    CHANGES["edited at the top"](caches)
    with caplog.at_level(logging.WARNING, "packager"):
        _install(model, tmp_path / "second")
    assert (tmp_path / "second" / "single.py").read_text() == FILES["single.py"]
    assert "RECORD of own is not the list" in caplog.text
    caplog.clear()
    _install(model, tmp_path / "third")
    assert not caplog.records


def test_what_was_changed_before_it_was_first_seen_is_put_right_by_a_fetch(
    caches: Path, model: Path, tmp_path: Path
) -> None:
    """The other way round: the lists that are kept are those of the wheel that was fetched last."""
    _install(model, tmp_path / "first")
    (kept,) = (tmp_path / "packager" / "lists").glob("*/lists.json")
    _cache.forget("lists", kept.parent.name)
    _cache.ensure("lists", kept.parent.name, lambda f: _write(f / "lists.json", '{"own": "00"}'))
    _install(model, tmp_path / "second")
    assert "00" not in kept.read_text().split('"')


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_files_without_a_digest_are_told_apart(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "own-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "own.py").write_text("")
    (site / "other.py").write_text("")
    (info / "RECORD").write_text("own.py,,\nown-1.0.dist-info/RECORD,,\n__pycache__/own.pyc,,\n")
    compared = compare_record(site)
    assert compared.unhashed == ("own.py",)
    assert [(fault.package, fault.path) for fault in compared.unlisted] == [("", "other.py")]
    assert compare_record(site, before=frozenset({"other.py"})).unlisted == ()


@pytest.mark.parametrize("name", ["RECORD is not text", "RECORD is empty"])
def test_a_list_that_cannot_be_read_leaves_its_files_unlisted(name: str, tmp_path: Path) -> None:
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (tmp_path / "own.py").write_text("")
    (info / "RECORD").write_bytes(b"\xff\xfe\x00" if "text" in name else b"")
    assert "own.py" in {fault.path for fault in compare_record(tmp_path).unlisted}


def test_where_uv_s_cache_cannot_be_cleaned_it_is_passed_by(
    caches: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from packager.environments import uv_command

    def refuse(arguments: object, **_: object) -> object:
        raise ToolError("another uv is at work")

    _install(model, tmp_path / "first")
    CHANGES["edited"](caches)
    lock = _lock(model)
    monkeypatch.setattr(uv_command, "run", refuse)
    lockfile.install(
        lock,
        tmp_path / "second",
        interpreter=interpreters.find(HERE),
        platform="x86_64-manylinux_2_34",
        cwd=model,
    )
    assert (tmp_path / "second" / "own" / "__init__.py").read_text() == FILES["own/__init__.py"]
    assert os.environ["UV_CACHE_DIR"] == str(caches)
