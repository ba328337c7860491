from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packager import interpreters
from packager.errors import InterpreterNotFoundError

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def fresh() -> None:
    interpreters.find.cache_clear()


def test_this_interpreter_is_found_by_its_minor_version() -> None:
    found = interpreters.find(OWN)

    assert found.minor == OWN
    assert found.version == ".".join(map(str, sys.version_info[:3]))


def test_a_shim_that_does_not_start_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    with pytest.raises(InterpreterNotFoundError, match=r"uv python install 3\.99"):
        interpreters.find("3.99")


def test_what_claims_to_be_another_version_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar = tmp_path / "python3.98"
    liar.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    assert interpreters.available(("3.98", OWN)) == (interpreters.find(OWN),)
