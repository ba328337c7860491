"""Any change of any file of an artifact is named by `packager verify`, whatever it is."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.errors import IntegrityError
from packager.system.file_tree import walk
from tests.unit.commands.artifact.test_integrity import _build

YOURS: Final = "samconfig.toml"
Change = Callable[[Path, int], object]


def _flip(path: Path, at: int) -> None:
    whole = bytearray(path.read_bytes() or b"\0")
    whole[at % len(whole)] ^= 1 << at % 8
    path.write_bytes(whole)


def _cut(path: Path, at: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: at % len(whole)] if whole else b"x")


def _link(path: Path, _: int) -> None:
    moved = path.rename(path.parent.parent / f"{path.name}.moved")
    path.symlink_to(moved)


def _pipe(path: Path, _: int) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path, _: int) -> None:
    path.unlink()
    path.mkdir()


CHANGES: Final[dict[str, Change]] = {
    "a bit": _flip,
    "cut": _cut,
    "longer": lambda path, at: path.write_bytes(path.read_bytes() + bytes([at % 256])),
    "before it": lambda path, at: path.write_bytes(bytes([at % 256]) + path.read_bytes()),
    "gone": lambda path, _: path.unlink(),
    "in capitals": lambda path, _: path.rename(path.with_name(path.name.swapcase())),
    "another accent": lambda path, _: path.rename(path.with_name(f"{path.name}\u0301")),
    "a link": _link,
    "a pipe": _pipe,
    "a folder": _folder,
}
ADDED: Final = ("json.py", ".hidden", "evil.tf", "__pycache__/a.pyc", "deep/er/x", "e\u0301.json")


@pytest.fixture(scope="module", params=["aws-lambda", "aws-lambda-image", "azure-functions"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"), request.param)


def _verify(folder: Path) -> list[str]:
    try:
        return list_problems(verify_artifact(folder))
    except IntegrityError as error:
        return [str(error)]


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(change=st.sampled_from(sorted(CHANGES)), which=st.integers(0, 999), at=st.integers(0, 10**6))
def test_any_change_of_any_file_is_named(
    built: Path, tmp_path: Path, change: str, which: int, at: int
) -> None:
    shutil.rmtree(tmp_path / "artifact", ignore_errors=True)
    folder = shutil.copytree(built, tmp_path / "artifact")
    there = [each for each in walk(folder) if each.name not in {YOURS, "report.json"}]
    victim = there[which % len(there)]

    CHANGES[change](folder / victim, at)

    problems = "\n".join(_verify(folder))
    assert (
        victim.name in problems
        or "function/ was changed" in problems
        or (victim.parts[0] == "function" and "function/" in problems)
    ), (victim, problems)


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(ADDED), which=st.integers(0, 99))
def test_a_file_in_a_folder_that_is_deployed_is_named(
    built: Path, tmp_path: Path, name: str, which: int
) -> None:
    shutil.rmtree(tmp_path / "artifact", ignore_errors=True)
    folder = shutil.copytree(built, tmp_path / "artifact")
    tops = {each.parts[0] for each in walk(folder) if len(each.parts) > 1} - {"events"}
    place = folder / sorted(tops)[which % len(tops)] / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")

    problems = "\n".join(_verify(folder))
    assert place.name in problems or "function/ was changed" in problems


def _comment(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"mine"


def _again(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"other")


def _extra(path: Path) -> None:
    entry = zipfile.ZipInfo("added.py")
    entry.extra = b"\x99\x99\x04\x00mine"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, b"")


def _large(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, archive.open("added", "w", force_zip64=True) as one:
        one.write(b"x")


@pytest.mark.parametrize(
    "change",
    [
        _comment,
        _again,
        _extra,
        _large,
        lambda path: path.write_bytes(b"#!/bin/sh\n" + path.read_bytes()),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
    ],
    ids=["comment", "two of one name", "extra field", "zip64", "prefix", "trailing bytes"],
)
def test_a_zip_that_was_packed_otherwise_is_named(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = _build(tmp_path)
    change(folder / "function.zip")

    assert any("function.zip was changed" in each for each in _verify(folder))
