from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packager.environments import interpreters
from packager.errors import InterpreterNotFoundError, ToolError
from packager.system import process

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


def test_a_shim_of_pyenv_is_not_started_and_its_versions_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shims := tmp_path / "shims").mkdir()
    (shim := shims / "python3.99").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    shim.chmod(0o755)
    for name in ("3.99.2", "3.99.10", "3.99.9", "3.99.0rc1", "3.98.1"):
        (tmp_path / "versions" / name).mkdir(parents=True)
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    with pytest.raises(InterpreterNotFoundError):
        interpreters.find("3.99")

    assert not (tmp_path / "started").exists()
    names = [folder.name for folder in interpreters._list_pyenv("3.99")]
    assert names == ["3.99.10", "3.99.9", "3.99.2", "3.99.0rc1"]


@pytest.mark.parametrize("wrong", ["unreadable", "a file", "a loop", "no home"])
def test_a_pyenv_that_cannot_be_read_has_no_versions(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pyenv"
    monkeypatch.setenv("PYENV_ROOT", str(root))
    if wrong == "a file":
        root.touch()
    elif wrong == "a loop":
        root.symlink_to(root)
    elif wrong == "no home":
        monkeypatch.delenv("PYENV_ROOT")

        def fail() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", fail)
    else:

        def deny(*_: object) -> list[Path]:
            raise PermissionError(13, "Permission denied", str(root))

        monkeypatch.setattr(Path, "glob", deny)
    assert interpreters._list_pyenv("3.13") == []


def test_a_program_that_may_not_be_started_is_a_tool_that_fails(tmp_path: Path) -> None:
    (tmp_path / "python3.13").write_text("#!/bin/sh\n")
    with pytest.raises(ToolError, match="cannot be started"):
        process.run([tmp_path / "python3.13"])
