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
from elftools.elf.dynamic import DynamicTag
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
    size = file.seek(0, io.SEEK_END)
    loads = (s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD")
    if any(load["p_offset"] + load["p_filesz"] > size for load in loads):
        raise ValueError("it is shorter than its segments")
    architecture = _ARCHITECTURES.get(machine, machine.removeprefix("EM_").lower())
    tags = _read_tags(elf)
    if not tags:
        return Elf(architecture=architecture)
    return _read_dynamic(file, elf, tags, architecture)


def _read_tags(elf: ELFFile) -> dict[str, list[DynamicTag]]:
    """Entries of the dynamic section by their tag; none in what is linked to nothing."""
    tags: dict[str, list[DynamicTag]] = {}
    dynamic = next((s for s in elf.iter_segments() if s["p_type"] == "PT_DYNAMIC"), None)
    for tag in () if dynamic is None else dynamic.iter_tags():
        tags.setdefault(str(tag.entry.d_tag), []).append(tag)
    return tags


def _read_dynamic(
    file: BinaryIO, elf: ELFFile, tags: dict[str, list[DynamicTag]], architecture: str
) -> Elf:
    runpath = [tag.runpath for tag in tags.get("DT_RUNPATH", [])]
    search = runpath or [tag.rpath for tag in tags.get("DT_RPATH", [])]
    return Elf(
        architecture=architecture,
        soname=next((tag.soname for tag in tags.get("DT_SONAME", [])), None),
        needed=tuple(tag.needed for tag in tags.get("DT_NEEDED", [])),
        search=tuple(part for text in search for part in text.split(":") if part),
        inherited=not runpath and bool(search),
        glibc=max(_list_glibc(file, elf, tags), default=None),
    )


def _list_glibc(
    file: BinaryIO, elf: ELFFile, tags: dict[str, list[DynamicTag]]
) -> list[tuple[int, int]]:
    """Every GLIBC version in the chain of DT_VERNEED: the section headers may be gone."""
    if "DT_VERNEED" not in tags or "DT_STRTAB" not in tags:
        return []
    order = "<" if elf.little_endian else ">"
    need, aux = struct.Struct(order + _VERNEED.format), struct.Struct(order + _VERNAUX.format)
    strings = _find_offset(elf, tags["DT_STRTAB"][0].entry.d_ptr)
    at = _find_offset(elf, tags["DT_VERNEED"][0].entry.d_ptr)
    found = []
    for _ in range(_MOST_ENTRIES):
        _, count, _, first, following = need.unpack(_read_at(file, at, need.size))
        entry = at + first
        for _ in range(count):
            _, _, _, name, step = aux.unpack(_read_at(file, entry, aux.size))
            text = _read_at(file, strings + name, 64).partition(b"\0")[0].decode("ascii", "replace")
            if match := _GLIBC.match(text):
                found.append((int(match[1]), int(match[2])))
            if not step:
                break
            entry += step
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
