"""Reader of what the dynamic loader reads in a shared library, its program headers alone."""

from __future__ import annotations

import hashlib
import io
import re
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

_MAGIC: Final = b"\x7fELF"
_ARCHITECTURES: Final = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64"}
_GLIBC: Final = re.compile(r"GLIBC_(\d+)\.(\d+)")
# Elf64_Verneed and Elf64_Vernaux are the same in both classes:
# https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html
_VERNEED: Final = struct.Struct("HHIII")
_VERNAUX: Final = struct.Struct("IHHII")
_PARSED: Final[dict[bytes, Elf]] = {}
"""By sha256 of the file: each pass asks for the same libraries again, 10 ms of CPU each."""
_MOST_ENTRIES: Final = 10_000
"""More than any real library has: where a damaged chain is given up."""
_MOST_SEGMENTS: Final = 64
_MOST_TEXT: Final = 1 << 16
"""Bytes of a name, or of a list of folders."""
# tags of the dynamic section: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html
_NULL, _NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 14, 15, 29
_VERNEED_TAG: Final = 0x6FFFFFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """One shared library or program."""

    architecture: str
    """`x86_64`, `arm64`, or the ELF name of another machine."""
    soname: str | None = None
    needed: tuple[str, ...] = ()
    """DT_NEEDED, in order."""
    search: tuple[str, ...] = ()
    """Folders of DT_RUNPATH, else DT_RPATH, as written: `$ORIGIN/../numpy.libs`."""
    inherited: bool = False
    """Whether `search` is DT_RPATH, which the loader also searches for what this one loads."""
    glibc: tuple[int, int] | None = None
    """The highest GLIBC version that a symbol asks for."""


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def read(path: Path) -> Elf:
    """Parse one file; raises ValueError where it is not ELF, or damaged."""
    return parse(path.read_bytes(), path.name)


def parse(content: bytes, name: str) -> Elf:
    """Parse the content of one file, as `read` does; `name` is for the message."""
    digest = hashlib.sha256(content).digest()
    try:
        if digest not in _PARSED:
            _PARSED[digest] = _read(io.BytesIO(content))
        return _PARSED[digest]
    except (
        ELFError,
        ConstructError,
        struct.error,
        LookupError,
        AttributeError,
        AssertionError,
        TypeError,
        OverflowError,
        OSError,
        ValueError,
    ) as error:
        # what pyelftools lets through from a damaged file, depending on where the damage is
        raise ValueError(f"{name} is not a readable ELF file: {error!r}") from error


def rename(path: Path, soname: str) -> None:
    """Give a library this DT_SONAME, by which the loader knows it once it is loaded.

    Wheels' copies have one of their own. The name is written over the old one: ValueError where it
    is longer, or where there is none.
    """
    with path.open("r+b") as file:
        elf = ELFFile(file)
        dynamic = next(s for s in elf.iter_segments() if s["p_type"] == "PT_DYNAMIC")
        tags = {str(tag.entry.d_tag): tag for tag in dynamic.iter_tags()}
        if "DT_SONAME" not in tags:
            raise ValueError(f"{path.name} has no name of its own")
        own, name = tags["DT_SONAME"], soname.encode()
        room = len(own.soname.encode())
        if len(name) > room:
            raise ValueError(f"{path.name} has no room for the name {soname}")
        file.seek(_find_offset(elf, tags["DT_STRTAB"].entry.d_ptr) + own.entry.d_val)
        file.write(name.ljust(room, b"\0"))


def expand_folder(folder: str, of: PurePosixPath) -> PurePosixPath:
    """A folder of `search`, for the file `of`, as a path in the tree that `of` is relative to.

    One that leaves the tree comes out as an absolute path, which matches nothing in it.
    """
    origin = folder.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", of.parent.as_posix())
    parts: list[str] = []
    for part in PurePosixPath(origin).parts:
        if part == "..":
            if not parts:
                return PurePosixPath("/outside")
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _read(file: BinaryIO) -> Elf:
    elf = ELFFile(file)
    machine = str(elf["e_machine"])
    if machine == "EM_NONE":
        raise ValueError("it is for no machine")
    if elf.num_segments() > _MOST_SEGMENTS or elf.num_sections() > _MOST_ENTRIES:
        raise ValueError("it has more segments or sections than a library")
    size = file.seek(0, io.SEEK_END)
    loads = (s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD")
    if any(load["p_offset"] + load["p_filesz"] > size for load in loads):
        raise ValueError("it is shorter than its segments")
    architecture = _ARCHITECTURES.get(machine, machine.removeprefix("EM_").lower())
    tags = _read_tags(file, elf)
    return _read_dynamic(file, elf, tags, architecture) if tags else Elf(architecture=architecture)


def _read_tags(file: BinaryIO, elf: ELFFile) -> dict[int, list[int]]:
    """Values of the dynamic section by their tag; none in what is linked to nothing.

    pyelftools reads the name of each at once, however long it is, and however often.
    """
    dynamic = next((s for s in elf.iter_segments() if s["p_type"] == "PT_DYNAMIC"), None)
    tags: dict[int, list[int]] = {}
    if dynamic is None:
        return tags
    order = "<" if elf.little_endian else ">"
    entry = struct.Struct(order + ("QQ" if elf.elfclass == 64 else "II"))
    for number in range(dynamic["p_filesz"] // entry.size):
        place = dynamic["p_offset"] + number * entry.size
        tag, value = entry.unpack(_read_at(file, place, entry.size))
        if tag == _NULL:
            break
        if number > _MOST_ENTRIES:
            raise ValueError(f"it has more than {_MOST_ENTRIES:,} dynamic entries")
        tags.setdefault(tag, []).append(value)
    return tags


def _read_dynamic(
    file: BinaryIO, elf: ELFFile, tags: dict[int, list[int]], architecture: str
) -> Elf:
    strings = _find_offset(elf, tags[_STRTAB][0]) if _STRTAB in tags else 0

    def read_texts(tag: int) -> list[str]:
        return [_read_text(file, strings + place) for place in tags.get(tag, ())]

    runpath = read_texts(_RUNPATH)
    search = runpath or read_texts(_RPATH)
    return Elf(
        architecture=architecture,
        soname=next(iter(read_texts(_SONAME)), None),
        needed=tuple(read_texts(_NEEDED)),
        search=tuple(part for text in search for part in text.split(":") if part),
        inherited=not runpath and bool(search),
        glibc=max(_list_glibc(file, elf, tags), default=None),
    )


def _read_text(file: BinaryIO, offset: int) -> str:
    text, end, _ = _read_at(file, offset, _MOST_TEXT).partition(b"\0")
    if not end:
        raise ValueError(f"a name in it has no end within {_MOST_TEXT:,} bytes")
    return text.decode("utf-8", "surrogateescape")


def _list_glibc(file: BinaryIO, elf: ELFFile, tags: dict[int, list[int]]) -> list[tuple[int, int]]:
    """Every GLIBC version in the chain of DT_VERNEED: the section headers may be gone."""
    if _VERNEED_TAG not in tags or _STRTAB not in tags:
        return []
    order = "<" if elf.little_endian else ">"
    need, aux = struct.Struct(order + _VERNEED.format), struct.Struct(order + _VERNAUX.format)
    strings = _find_offset(elf, tags[_STRTAB][0])
    at = _find_offset(elf, tags[_VERNEED_TAG][0])
    found, left = [], _MOST_ENTRIES
    while left > 0:
        _, count, _, first, following = need.unpack(_read_at(file, at, need.size))
        entry = at + first
        for _ in range(min(count, left)):
            left -= 1
            _, _, _, name, step = aux.unpack(_read_at(file, entry, aux.size))
            text = _read_at(file, strings + name, 64).partition(b"\0")[0].decode("ascii", "replace")
            if match := _GLIBC.match(text):
                found.append((int(match[1]), int(match[2])))
            if not step:
                break
            entry += step
        left -= 1
        if not following:
            break
        at += following
    return found


def _find_offset(elf: ELFFile, address: int) -> int:
    for offset in elf.address_offsets(address):
        return int(offset)
    raise LookupError(f"no segment holds address {address:#x}")


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
