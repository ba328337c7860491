"""What a library is found to need is what glibc's loader finds for it, wherever that is written."""

from __future__ import annotations

import platform
import sys
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.slim.native.library_needs import read_libraries, resolve_needs
from packager.pipeline.slim.native.stored_libraries import choose_libraries
from packager.system import elf, process
from packager.system.elf import Elf
from tests.tiny_elf import library, write

LD_LIBRARY_PATH = (PurePosixPath(), PurePosixPath("lib"))
LAST = library(soname="liblast.so")
RPATH, RUNPATH = {"rpath": "$ORIGIN/../libs"}, {"runpath": "$ORIGIN/../libs"}


def linked(*needed: str, **search: str) -> bytes:
    return library(needed=needed, **search)  # type: ignore[arg-type]


TREES = {
    "its own RPATH": (
        {"p/a.so": linked("liblast.so", **RPATH), "libs/liblast.so": LAST},
        {"libs/liblast.so"},
    ),
    "its own RUNPATH": (
        {"p/a.so": linked("liblast.so", **RUNPATH), "libs/liblast.so": LAST},
        {"libs/liblast.so"},
    ),
    "the RPATH of what loads it": (
        {
            "p/a.so": linked("libmid.so", **RPATH),
            "libs/libmid.so": linked("liblast.so"),
            "libs/liblast.so": LAST,
        },
        {"libs/libmid.so", "libs/liblast.so"},
    ),
    "an RPATH two steps up": (
        {
            "p/a.so": linked("libmid.so", rpath="$ORIGIN/../libs:$ORIGIN/../far"),
            "libs/libmid.so": linked("libnext.so", rpath="$ORIGIN"),
            "libs/libnext.so": linked("liblast.so"),
            "far/liblast.so": LAST,
        },
        {"libs/libmid.so", "libs/libnext.so", "far/liblast.so"},
    ),
    "no RPATH from above where it has a RUNPATH": (
        {
            "p/a.so": linked("libmid.so", **RPATH),
            "libs/libmid.so": linked("liblast.so", runpath="$ORIGIN/none"),
            "libs/liblast.so": LAST,
        },
        None,
    ),
    "no RUNPATH from above": (
        {
            "p/a.so": linked("libmid.so", **RUNPATH),
            "libs/libmid.so": linked("liblast.so"),
            "libs/liblast.so": LAST,
        },
        None,
    ),
    "an RPATH from above what has a RUNPATH": (
        {
            "p/a.so": linked("libmid.so", **RPATH),
            "libs/libmid.so": linked("libnext.so", runpath="$ORIGIN/inner"),
            "libs/inner/libnext.so": linked("liblast.so"),
            "libs/liblast.so": LAST,
        },
        {"libs/libmid.so", "libs/inner/libnext.so", "libs/liblast.so"},
    ),
    "LD_LIBRARY_PATH": (
        {"p/a.so": linked("liblast.so"), "lib/liblast.so": LAST},
        {"lib/liblast.so"},
    ),
    "RPATH before LD_LIBRARY_PATH": (
        {
            "p/a.so": linked("liblast.so", **RPATH),
            "libs/liblast.so": LAST,
            "lib/liblast.so": b"\x7fELF, and damaged",
        },
        {"libs/liblast.so"},
    ),
    "LD_LIBRARY_PATH before RUNPATH": (
        {
            "p/a.so": linked("liblast.so", **RUNPATH),
            "libs/liblast.so": b"\x7fELF, and damaged",
            "lib/liblast.so": LAST,
        },
        {"lib/liblast.so"},
    ),
    "a ring": (
        {
            "p/a.so": linked("libone.so", **RPATH),
            "libs/libone.so": linked("libtwo.so"),
            "libs/libtwo.so": linked("libone.so", soname="libtwo.so"),
        },
        {"libs/libone.so", "libs/libtwo.so"},
    ),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("case", TREES)
def test_needs_are_found_as_the_loader_finds_them(case: str, tmp_path: Path) -> None:
    files, expected = TREES[case]
    write(tmp_path, files)
    needs = resolve_needs(read_libraries(tmp_path, files), files, LD_LIBRARY_PATH)
    complete = _load(tmp_path, "p/a.so", {"p/a.so", *needs.every["p/a.so"]}, tmp_path / "only")
    if expected is None:
        assert not _loads(tmp_path / "p/a.so", tmp_path)
        assert not complete
    else:
        assert needs.every["p/a.so"] == expected
        assert _loads(tmp_path / "p/a.so", tmp_path)
        assert complete


def _loads(path: Path, root: Path) -> bool:
    """Whether this machine's loader, which is the authority, loads the file."""
    if platform.machine() != "x86_64":
        pytest.skip("the libraries of these tests are for x86_64")
    done = process.run(
        [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", path],
        env={"LD_LIBRARY_PATH": f"{root}:{root / 'lib'}"},
        check=False,
    )
    return done.returncode == 0


def _load(root: Path, path: str, needed: set[str], folder: Path) -> bool:
    """Whether it loads in a folder with nothing but what it was found to need."""
    for each in needed:
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).symlink_to(root / each)
    return _loads(folder / path, root)


def test_what_the_environment_leads_to_is_never_moved() -> None:
    files = {"p/a.so": linked("liblast.so"), "liblast.so": LAST}
    root = {"p/a.so", "liblast.so"}
    needs = resolve_needs(_parsed(files), root, LD_LIBRARY_PATH)
    assert needs.by_environment == {"liblast.so"}
    assert choose_libraries(needs, {"p/a.so"}, (), ()) == {"p/a.so"}


def test_a_library_goes_only_with_all_that_load_it() -> None:
    files = {
        "p/a.so": linked("libmid.so", **RPATH),
        "p/b.so": linked("libother.so", **RPATH),
        "libs/libmid.so": linked("liblast.so"),
        "libs/libother.so": linked("liblast.so"),
        "libs/liblast.so": LAST,
    }
    needs = resolve_needs(_parsed(files), files, LD_LIBRARY_PATH)
    assert choose_libraries(needs, {"p/a.so"}, (), ()) == {"p/a.so", "libs/libmid.so"}
    assert choose_libraries(needs, {"p/a.so", "p/b.so"}, (), ()) == {*files}
    kept = choose_libraries(needs, {"p/a.so", "p/b.so"}, (), {"p/b.so"})
    assert kept == {"p/a.so", "libs/libmid.so"}


def _parsed(files: dict[str, bytes]) -> dict[str, Elf]:
    return {path: elf.parse(content, path) for path, content in files.items()}
