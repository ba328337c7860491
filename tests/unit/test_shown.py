"""What is printed can be copied and typed."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from packager.commands import console
from packager.system.resources import own_command
from packager.types import LedgerEntry


def test_into_a_pipe_no_value_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    long, listed = "ab" * 100, ["x" * 90, "y"]

    console._pairs("Title", {"digest": long, "empty": "", "names": listed})

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


def test_the_ledger_says_what_was_saved_how_it_is_known_and_what_was_taken_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = LedgerEntry(
        name="defer",
        bytes_before=5_000_000,
        bytes_after=2_000_000,
        files_before=30,
        files_after=10,
        reason="imported, never used",
        proof="replayed",
        reverted=("sklearn/tree",),
        cpu_ms_saved=120.4,
    )
    found = {
        "summary": {},
        "ledger": [asdict(entry), {**asdict(entry), "name": "prune", "cpu_ms_saved": None}],
        "largest": [("scipy", 50_000_000)],
        "room": "62.1 MB are left.",
    }

    console.show_inspection(found)

    lines = capsys.readouterr().out.splitlines()
    (defer,) = (line for line in lines if line.startswith("defer"))
    assert defer.split()[1:6] == ["3.0", "MB", "20", "120", "ms"]
    (prune,) = (line for line in lines if line.startswith("prune"))
    assert prune.split()[4] == "-"
    assert "  - defer: replayed" in lines
    assert "  - defer: sklearn/tree" in lines
    assert "62.1 MB are left." in lines
