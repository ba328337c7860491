"""A user without a home folder: a container that is run under any user's number."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packager.environments import interpreters, uv_command
from packager.errors import StorageError
from packager.pipeline.emit._text import Scrubber
from packager.pipeline.output import place as output_place
from packager.pipeline.resolve import _indexes
from packager.system import cache
from packager.system.resources import PACKAGE
from tests import fake_plan


@pytest.fixture(autouse=True)
def _without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    monkeypatch.setattr(Path, "expanduser", fail)
    for name in ("HOME", "PYENV_ROOT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: Scrubber.over({"work": folder}).text("text"),
        lambda folder: list(_indexes._read_index_addresses()),
        lambda folder: interpreters._list_pyenv("3.13"),
        lambda folder: output_place.check_place(fake_plan.request(out_dir=folder / "dist")),
    ],
    ids=["emitted text", "indexes", "interpreters", "output"],
)
def test_a_build_does_without_a_home(
    use: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    use(tmp_path)


def test_a_cache_without_a_place_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACKAGER_CACHE", raising=False)
    with pytest.raises(StorageError, match="Name a folder in PACKAGER_CACHE"):
        cache.root()


def test_the_home_is_looked_up_in_one_place() -> None:
    found = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if re.search(r"Path\.home\(|os\.path\.expanduser|getpass\.", path.read_text("utf-8"))
    }
    assert found == {"resources.py"}


@pytest.mark.parametrize(
    ("name", "kept"),
    [("PACKAGER_CACHE", True), ("UV_CACHE_DIR", False), ("XDG_CACHE_HOME", False)],
)
def test_uv_leaves_nothing_in_the_folder_that_it_is_started_in(
    name: str,
    kept: bool,  # noqa: FBT001 - a column of the table
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setenv(name, str(tmp_path / "cache"))

    found = uv_command.build_environment().get("UV_CACHE_DIR")

    wanted = {"PACKAGER_CACHE": tmp_path / "cache" / "uv", "UV_CACHE_DIR": tmp_path / "cache"}
    assert found == (str(wanted[name]) if name in wanted else None)
    assert (tmp_path / "cache" / "uv").is_dir() is kept
    assert cache.list_entries() == ()
