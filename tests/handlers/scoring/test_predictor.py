"""A model is loaded by its own loader, after .pth files, and on one thread where it is to be."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handlers.loaders import _threads
from handlers.manifest import Manifest
from handlers.scoring import predictor
from tests.handlers.scorers import manifest


class Plain:
    n_jobs: int

    def __init__(self) -> None:
        self.n_jobs = 4


class FakeLoader(ModuleType):
    """Keeps what it was asked, and how many threads libraries were allowed then."""

    def load(self, asked: Manifest, folder: Path) -> Any:
        self.asked, self.folder = asked, folder
        self.threads = os.environ.get(_threads.VARIABLES[0])
        self.path = list(sys.path)
        return Plain()


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> FakeLoader:
    made = FakeLoader("handlers.loaders.fake")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(_threads, "_limit_blas", lambda: None)
    for name in _threads.VARIABLES:
        monkeypatch.setenv(name, "8")
    return made


def test_the_manifest_names_the_loader(loader: FakeLoader, tmp_path: Path) -> None:
    asked = manifest(loader="fake")

    loaded: Any = predictor.load(asked, tmp_path)

    assert isinstance(loaded, Plain)
    assert (loader.asked, loader.folder) == (asked, tmp_path)


def test_a_model_keeps_its_threads_where_none_are_set(loader: FakeLoader, tmp_path: Path) -> None:
    loaded: Any = predictor.load(manifest(loader="fake"), tmp_path)

    assert (loader.threads, loaded.n_jobs) == ("8", 4)


def test_libraries_are_held_to_one_thread_before_the_model_and_it_after(
    loader: FakeLoader, tmp_path: Path
) -> None:
    loaded: Any = predictor.load(manifest(loader="fake", threads=1), tmp_path)

    assert (loader.threads, loaded.n_jobs) == ("1", 1)


@pytest.mark.parametrize("told", [False, True])
def test_path_files_take_effect_before_the_model(
    *, told: bool, loader: FakeLoader, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (tmp_path / "more.pth").write_text("more\n", encoding="utf-8")

    predictor.load(manifest(loader="fake", path_files=told), tmp_path)

    assert (str(more) in loader.path) is told


def test_a_loader_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"handlers\.loaders\.nobody"):
        predictor.load(manifest(loader="nobody"), tmp_path)
