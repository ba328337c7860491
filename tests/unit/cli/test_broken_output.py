"""Standard output that takes no more is told apart from a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packager.commands.artifact.integrity import verify_artifact
from tests.unit.commands.artifact.test_integrity import _build

_FULL = Path("/dev/full")


@pytest.mark.few(2)
@pytest.mark.skipif(not _FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words", [("verify", "--json"), ("verify",), ("inspect",), ("inspect", "--json")]
)
def test_an_output_that_is_full_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    out = _build(tmp_path)
    assert verify_artifact(out)["verified"]
    with _FULL.open("wb") as full:
        ended = _run(words[0], str(out), *words[1:], stdout=full.fileno())

    assert ended.returncode == 9
    assert ended.stderr.startswith("error Standard output cannot be written")
    assert "TMPDIR" not in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif(not _FULL.exists(), reason="needs /dev/full")
def test_an_error_that_cannot_be_printed_keeps_its_code(tmp_path: Path) -> None:
    with _FULL.open("wb") as full:
        ended = _run("verify", str(tmp_path), "--json", stdout=full.fileno())

    assert "Traceback" not in ended.stderr
    assert ended.returncode == 5


@pytest.mark.slow
def test_a_reader_that_left_ends_it_as_other_programs(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = _run("verify", str(_build(tmp_path)), stdout=writing)
    finally:
        os.close(writing)

    assert ended.returncode == 141
    assert "Traceback" not in ended.stderr


def _run(*words: str, stdout: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "packager", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
