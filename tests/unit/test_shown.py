"""What is printed can be copied and typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packager import _console
from packager._resources import own_command


def test_into_a_pipe_no_value_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    long, listed = "ab" * 100, ["x" * 90, "y"]

    _console._pairs("Title", {"digest": long, "empty": "", "names": listed})

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Title", f"digest {long}", f"names  {listed[0]}", "       y"]


def test_the_command_to_type_is_one_that_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "packager"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")

    assert own_command() == "bin/packager"
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command() == "packager"
