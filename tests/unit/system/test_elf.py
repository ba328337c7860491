"""The dynamic section, as written by a test and by a real linker."""

from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from packager.system import elf
from packager.system.elf import Elf
from tests import tiny_elf


def read(tmp_path: Path, content: bytes) -> Elf:
    path = tmp_path / "x.so"
    path.write_bytes(content)
    return elf.read(path)


def test_reads_what_the_loader_reads(tmp_path: Path) -> None:
    library = tiny_elf.library(
        needed=("libgomp.so.1", "libc.so.6"),
        soname="libx.so.2",
        runpath="$ORIGIN/../x.libs:$ORIGIN",
        glibc=("GLIBC_2.17", "GLIBC_2.28", "GLIBC_2.3.4"),
    )
    assert read(tmp_path, library) == Elf(
        architecture="x86_64",
        soname="libx.so.2",
        needed=("libgomp.so.1", "libc.so.6"),
        search=("$ORIGIN/../x.libs", "$ORIGIN"),
        glibc=(2, 28),
    )


def test_runpath_silences_rpath(tmp_path: Path) -> None:
    assert read(tmp_path, tiny_elf.library(rpath="/a", runpath="/b")).search == ("/b",)
    assert read(tmp_path, tiny_elf.library(rpath="/a")).search == ("/a",)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "386"])
def test_names_the_architecture(tmp_path: Path, architecture: str) -> None:
    found = read(tmp_path, tiny_elf.library(architecture=architecture))
    assert found.architecture == architecture
    assert found.glibc is None


def test_other_version_names_are_no_glibc(tmp_path: Path) -> None:
    library = tiny_elf.library(glibc=("GLIBCXX_3.4.29", "CXXABI_1.3", "GLIBC_PRIVATE"))
    assert read(tmp_path, library).glibc is None


def test_agrees_with_a_real_library() -> None:
    extension = next((Path(np.__file__).parent / "_core").glob("_multiarray_umath*.so"))
    found = elf.read(extension)
    assert "libc.so.6" in found.needed
    assert any("numpy.libs" in folder for folder in found.search)
    assert found.glibc is not None
    assert (2, 14) <= found.glibc <= (2, 40)


@pytest.mark.parametrize("content", [b"", b"MZ\x90", b"\x7fELF", b"\x7fELF" + b"\xff" * 100])
def test_damage_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"x\.so is not a readable ELF file"):
        read(tmp_path, content)


def test_is_elf_by_content_not_by_name(tmp_path: Path) -> None:
    tiny_elf.write(tmp_path, {"data.txt": tiny_elf.library(), "empty.so": b""})
    assert elf.is_elf(tmp_path / "data.txt")
    assert not elf.is_elf(tmp_path / "empty.so")


def test_a_library_takes_the_name_that_others_need_it_by(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(tiny_elf.library(soname="libgomp-a1b2.so.1.0.0", needed=("libc.so.6",)))

    elf.rename(path, "libgomp.so.1")

    found = elf.read(path)
    assert (found.soname, found.needed) == ("libgomp.so.1", ("libc.so.6",))


@pytest.mark.parametrize(("own", "said"), [("a.so", "no room"), (None, "no name of its own")])
def test_a_name_that_cannot_be_given_is_an_error(
    own: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(tiny_elf.library(soname=own, needed=("libc.so.6",)))
    with pytest.raises(ValueError, match=said):
        elf.rename(path, "libgomp.so.1")


def test_a_chain_that_is_read_again_and_again_ends(tmp_path: Path) -> None:
    """Each version need, of which there is one every 16 bytes, has all that come after it."""
    need = struct.pack("<HHIII", 1, 65535, 1, 16, 16)
    content = tiny_elf.library(glibc=("GLIBC_2.17",))[:-32] + need * 65_000
    begun = time.process_time()

    with contextlib.suppress(ValueError):
        elf.parse(content, "chain.so")

    assert time.process_time() - begun < 5


def test_names_without_an_end_are_damage() -> None:
    content = tiny_elf.library(needed=("liba.so",) * 20_000)

    with pytest.raises(ValueError, match="more than 10,000 dynamic entries"):
        elf.parse(content, "many.so")
    with pytest.raises(ValueError, match="no end within"):
        elf.parse(tiny_elf.library(needed=("x" * 70_000,)), "long.so")
