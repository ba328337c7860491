"""A cache of its own for each test: what another made of the same files is not taken."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path_factory.mktemp("own") / "cache"))
