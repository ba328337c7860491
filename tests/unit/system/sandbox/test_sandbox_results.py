"""What a confined program leaves is read as a stranger's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packager.errors import SandboxError
from packager.system.sandbox import results

LEFT: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "a link to a file of ours": lambda path: path.symlink_to(__file__),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("left", LEFT)
def test_what_is_no_plain_file_is_refused(left: str, tmp_path: Path) -> None:
    path = tmp_path / "result"
    LEFT[left](path)

    with pytest.raises(SandboxError, match="left"):
        results.check_plain(path)
    with pytest.raises(SandboxError, match="left"):
        results.read_result(path)


def test_a_second_name_of_a_file_is_not_read(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("ours", encoding="utf-8")
    path = tmp_path / "result"
    path.hardlink_to(other)

    with pytest.raises(SandboxError, match="not a plain file"):
        results.read_result(path)


def test_a_file_is_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_LARGEST_BYTES", 4)
    path = tmp_path / "result"

    path.write_text("four", encoding="utf-8")
    assert results.read_result(path) == "four"
    path.write_text("fives", encoding="utf-8")
    with pytest.raises(SandboxError, match="of 5 bytes"):
        results.read_result(path)
