"""A rewritten library maps to the same memory as before, in fewer bytes of file."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.system import elf
from packager.system.elf.compact import NotCompactableError, compact_library
from packager.workers import load_libraries
from tests import examples, tiny_elf

PAGE = 0x1000
NUMPY = Path(np.__file__).parent
REAL = sorted((NUMPY.parent / "numpy.libs").glob("*.so*")) + sorted((NUMPY / "_core").glob("*.so"))


def image(data: bytes) -> dict[int, bytes]:
    """What a loader puts into memory: each page by its address, zero pages left out."""
    start, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    pages: dict[int, bytearray] = {}
    for number in range(count):
        kind, _, offset, vaddr, _, file_size, memory_size, align = struct.unpack_from(
            "<IIQQQQQQ", data, start + number * 56
        )
        if kind != 1:
            continue
        assert (offset - vaddr) % min(align, PAGE) == 0
        content = data[offset : offset + file_size]
        for address in range(vaddr - vaddr % PAGE, vaddr + len(content), PAGE):
            low, high = max(address, vaddr), min(address + PAGE, vaddr + len(content))
            part = content[low - vaddr : high - vaddr]
            if part.strip(b"\0"):
                page = pages.setdefault(address // PAGE, bytearray(PAGE))
                page[low - address : high - address] = part
        assert memory_size >= file_size
    return {key: bytes(page) for key, page in pages.items()}


def beyond_headers(pages: dict[int, bytes], table: int, count: int) -> dict[int, bytes]:
    """Without the ELF header and the program headers, which name file offsets."""
    first = bytearray(pages[0])
    first[:64] = bytes(64)
    first[table : table + count * 56] = bytes(count * 56)
    return {**pages, 0: bytes(first)}


def with_section(name: bytes, *, pages: int) -> bytes:
    """A library of one segment: a page of code, `pages` pages in section `name`, a page of data."""
    names = b"\0" + name + b"\0.shstrtab\0"
    low, high = PAGE, PAGE * (1 + pages)
    end = high + PAGE
    table = end + len(names) + (-(end + len(names)) % 8)
    header = struct.pack(
        "<4sBBBBB7xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 0, 3, 62, 1, 0, 64, table, 0, 64, 56, 2, 64, 3, 2,
    )  # fmt: skip
    loads = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, end, end + 100, PAGE)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    body = (header + loads + stack).ljust(low, b"C") + b"G" * (high - low) + b"D" * PAGE
    sections = [
        bytes(64),
        struct.pack("<IIQQQQIIQQ", 1, 1, 2, low, low, high - low, 0, 0, 8, 0),
        struct.pack("<IIQQQQIIQQ", 2 + len(name), 3, 0, 0, end, len(names), 0, 0, 1, 0),
    ]
    return (body + names).ljust(table, b"\0") + b"".join(sections)


@pytest.mark.parametrize("path", REAL[:2], ids=lambda path: path.name)
def test_a_real_library_maps_to_the_same_memory(path: Path) -> None:
    data = path.read_bytes()
    smaller = compact_library(data)
    table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]

    assert len(smaller) <= len(data)
    assert compact_library(smaller) == smaller
    if table == 64:  # the headers lie where they lay
        assert beyond_headers(image(smaller), table, count) == beyond_headers(
            image(data), table, count
        )


def test_what_the_loader_reads_is_the_same(tmp_path: Path) -> None:
    for path in REAL:
        (tmp_path / path.name).write_bytes(compact_library(path.read_bytes()))
        assert elf.read(tmp_path / path.name) == elf.read(path)


def test_numpy_computes_the_same_with_every_library_rewritten(tmp_path: Path) -> None:
    for path in REAL:
        target = tmp_path / path.relative_to(NUMPY.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(compact_library(path.read_bytes()))
    listed = tmp_path / "list"
    listed.write_text("\n".join(str(p) for p in sorted(tmp_path.rglob("*.so*"))))
    done = subprocess.run(
        [sys.executable, "-I", load_libraries.__file__, listed],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == "{}"


def test_gpu_code_becomes_zero_pages_that_cost_nothing() -> None:
    data = with_section(b".nv_fatbin", pages=50)
    smaller = compact_library(data, (".nv_fatbin",))
    pages = image(smaller)

    assert len(smaller) < len(data) - 49 * PAGE
    assert set(pages) == {0, 51}
    assert pages[51] == b"D" * PAGE
    assert pages[0][200:] == image(data)[0][200:]


def test_a_section_that_was_not_named_stays() -> None:
    data = with_section(b".rodata", pages=5)

    assert beyond_headers(image(compact_library(data, (".nv_fatbin",))), 64, 2) == beyond_headers(
        image(data), 64, 2
    )


def test_debug_sections_go() -> None:
    data = with_section(b".rodata", pages=1)

    assert len(compact_library(data)) == 3 * PAGE


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"no library at all", tiny_elf.library(architecture="386")],
    ids=["empty", "magic alone", "text", "another machine"],
)
def test_what_is_no_library_is_left_alone(data: bytes) -> None:
    with pytest.raises(NotCompactableError):
        compact_library(data)


@settings(max_examples=examples.count(300), deadline=None)
@given(st.data())
def test_a_damaged_library_is_refused_or_still_maps_whole(data: st.DataObject) -> None:
    whole = bytearray(with_section(b".nv_fatbin", pages=2))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.sampled_from([len(whole), 150, 5000]))])

    try:
        smaller = compact_library(damaged, (".nv_fatbin",))
    except NotCompactableError:
        return
    assert smaller[:4] == b"\x7fELF"


def test_a_library_of_which_no_byte_is_loaded_is_left_alone() -> None:
    data = bytearray(with_section(b".nv_fatbin", pages=2))
    data[97] = 0  # of the only segment's size in the file

    with pytest.raises(NotCompactableError, match="none of its bytes"):
        compact_library(bytes(data), (".nv_fatbin",))


def test_a_library_that_does_not_load_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(with_section(b".rodata", pages=1))
    listed = tmp_path / "list"
    listed.write_text(str(broken))
    done = subprocess.run(
        [sys.executable, "-I", load_libraries.__file__, listed],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert str(broken) in done.stdout


def test_a_segment_with_more_bytes_than_memory_is_left_alone() -> None:
    whole = bytearray(with_section(b".nv_fatbin", pages=2))
    whole[105] = 0  # of the first program header's p_memsz

    with pytest.raises(NotCompactableError, match="more bytes than memory"):
        compact_library(bytes(whole), (".nv_fatbin",))
