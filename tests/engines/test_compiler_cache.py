"""The compiler's own files: made once for a compiler and a processor, kept, and never a model's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packager.engines.machine_code.toolchain import fill_cache
from packager.errors import ToolError
from packager.system import cache
from tests import tiny_elf


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that writes what zig writes, and a line of a log each time."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    for arch in ("x86_64", "arm64"):
        (tmp_path / arch).write_bytes(tiny_elf.library(architecture=arch))
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho "$5" >> {tmp_path}/log\n'
        'mkdir -p "$ZIG_GLOBAL_CACHE_DIR/o" "$ZIG_GLOBAL_CACHE_DIR/z" "$ZIG_LOCAL_CACHE_DIR/tmp"\n'
        'echo "$5" > "$ZIG_GLOBAL_CACHE_DIR/o/start.o"\n'
        'echo large > "$ZIG_GLOBAL_CACHE_DIR/z/read"\n'
        f'case "$5" in x86_64*) cp {tmp_path}/x86_64 model.so;; *) cp {tmp_path}/arm64 model.so;; '
        "esac\n"
    )
    python.chmod(0o755)
    return python


def _list(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text().strip()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_they_are_made_once_for_each_processor(compiler: Path, tmp_path: Path) -> None:
    for number, arch in enumerate(("x86_64", "arm64", "x86_64", "arm64")):
        own = tmp_path / "own" / str(number)
        fill_cache(compiler, arch, own)
        machine = {"x86_64": "x86_64", "arm64": "aarch64"}[arch]
        assert _list(own) == {"o/start.o": f"{machine}-linux-gnu.2.17"}
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_what_was_changed_in_the_cache_is_made_again(compiler: Path, tmp_path: Path) -> None:
    fill_cache(compiler, "x86_64", tmp_path / "first")
    (kept,) = (tmp_path / "cache" / "compilers").glob("*/o/start.o")
    kept.write_text("other code")
    fill_cache(compiler, "x86_64", tmp_path / "again")
    assert _list(tmp_path / "again") == {"o/start.o": "x86_64-linux-gnu.2.17"}


def test_a_compiler_that_fails_leaves_nothing(compiler: Path, tmp_path: Path) -> None:
    compiler.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ToolError, match="exit code 3"):
        fill_cache(compiler, "x86_64", tmp_path / "own")
    assert cache.list_entries() == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_is_only_read_keeps_none(compiler: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    fill_cache(compiler, "x86_64", tmp_path / "own")
    assert _list(tmp_path / "own") == {"o/start.o": "x86_64-linux-gnu.2.17"}
