"""Rewrite a shared library so that only what the dynamic loader maps is left in the file.

Kept: every byte of every PT_LOAD segment, at its address. Dropped: section headers, symbol tables
for debuggers, debug information, and padding between segments. Sections that only another machine's
driver reads (`.nv_fatbin`: GPU code) can be cut out as well: their addresses stay, as zero pages
that cost no file bytes.

Layout rules: System V ABI, chapter 5 (program loading): for each PT_LOAD, p_offset and p_vaddr are
congruent modulo p_align; https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

PAGE_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {"EM_X86_64": 0x1000, "EM_AARCH64": 0x10000}
)
"""The largest page that a kernel of the machine may use; a segment starts on one of its own."""

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_LOAD: Final = 1
_NULL: Final = 0
_PHDR: Final = 6
_SHARED: Final = "ET_DYN"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """One program header, Elf64_Phdr, in the order of its fields."""

    kind: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    file_size: int
    memory_size: int
    align: int

    def pack(self) -> bytes:
        return _SEGMENT.pack(
            self.kind,
            self.flags,
            self.offset,
            self.vaddr,
            self.paddr,
            self.file_size,
            self.memory_size,
            self.align,
        )

    def holds(self, offset: int, size: int) -> bool:
        return self.offset <= offset and offset + size <= self.offset + self.file_size


class NotCompactableError(ValueError):
    """The file is laid out in a way that this module leaves alone; the message says how."""


def _read_sections(data: bytes) -> tuple[int, list[tuple[str, int, int, int]]]:
    """The machine's page size; each section's name, address, size and alignment.

    Raises NotCompactableError.
    """
    try:
        elf = ELFFile(io.BytesIO(data))
        page = PAGE_BYTES.get(str(elf["e_machine"]))
        if elf.elfclass != 64 or not elf.little_endian or page is None or elf["e_type"] != _SHARED:
            raise NotCompactableError("not a 64-bit shared library for x86_64 or arm64")
        return page, [
            (each.name, each["sh_addr"], each["sh_size"], each["sh_addralign"])
            for each in elf.iter_sections()
        ]
    except (ELFError, ConstructError, struct.error, ValueError, LookupError) as error:
        if isinstance(error, NotCompactableError):
            raise
        raise NotCompactableError(f"not readable as ELF: {error!r}") from error


def compact_library(data: bytes, excise: Sequence[str] = ()) -> bytes:
    """The same library in fewer bytes; `excise` names sections to replace by zero pages.

    Raises NotCompactableError for what is no 64-bit little-endian shared library for a known
    machine, or is laid out in a way that could not be kept.
    """
    page, sections = _read_sections(data)
    if any(align > page for _, address, _, align in sections if address):
        raise NotCompactableError("a section asks for more than a page of alignment")
    segments = _list_segments(data)
    holes = [(address, address + size) for name, address, size, _ in sections
             if name in excise and address]  # fmt: skip
    before = [s for s in segments if s.kind == _LOAD]
    _refuse_odd(before, len(data))
    cut = [piece for s in segments for piece in _cut_without(s, holes, page)]
    return _laid_out(data, before, cut, page)


def _list_segments(data: bytes) -> list[_Segment]:
    header = _HEADER.unpack_from(data)
    start, size, count = header[5], header[9], header[10]
    if size != _SEGMENT.size or start + count * size > len(data):
        raise NotCompactableError("its program headers are not where it says")
    found = []
    for number in range(count):
        kind, flags, *rest = _SEGMENT.unpack_from(data, start + number * size)
        offset, vaddr, paddr, file_size, memory_size, align = rest
        found.append(
            _Segment(kind=kind, flags=flags, offset=offset, vaddr=vaddr, paddr=paddr,
                     file_size=file_size, memory_size=memory_size, align=align)
        )  # fmt: skip
    return found


def _refuse_odd(loads: Sequence[_Segment], size: int) -> None:
    if not loads:
        raise NotCompactableError("nothing in it is loaded")
    if any(load.offset + load.file_size > size for load in loads):
        raise NotCompactableError("it is shorter than its segments")
    if any(load.memory_size < load.file_size for load in loads):
        raise NotCompactableError("a segment has more bytes than memory")
    spans = sorted((s.offset, s.offset + s.file_size) for s in loads if s.file_size)
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise NotCompactableError("two segments share bytes of the file")
    addresses = [load.vaddr for load in loads]
    if addresses != sorted(addresses):
        raise NotCompactableError("its segments are not in the order of their addresses")


def _cut_without(
    segment: _Segment, holes: Sequence[tuple[int, int]], page: int
) -> Iterator[_Segment]:
    """A segment, or its parts before and after each hole; the first part spans the hole's pages."""
    if segment.kind != _LOAD:
        yield segment
        return
    for low, high in sorted(holes):
        start, end = -(-low // page) * page, high // page * page
        inside = segment.vaddr <= start and end <= segment.vaddr + segment.file_size
        if not inside or end - start < page:
            continue
        kept = start - segment.vaddr
        yield replace(segment, file_size=kept, memory_size=end - segment.vaddr)
        moved = end - segment.vaddr
        segment = replace(
            segment,
            offset=segment.offset + moved,
            vaddr=end,
            paddr=segment.paddr + moved,
            file_size=segment.file_size - moved,
            memory_size=segment.memory_size - moved,
        )
    yield segment


def _append_table(out: bytearray, segments: list[_Segment]) -> tuple[int, list[_Segment]]:
    """Make room at the end for a table of our own; return its place and its segments.

    There are more headers than there is room for, or none of them is mapped. The loader reads the
    table from the file; PT_PHDR would point it to the old one.
    """
    out += bytes(-len(out) % 8)
    at = len(out)
    out += bytes(len(segments) * _SEGMENT.size)
    return at, [replace(s, kind=_NULL) if s.kind == _PHDR else s for s in segments]


def _laid_out(
    data: bytes, before: Sequence[_Segment], segments: Sequence[_Segment], page: int
) -> bytes:
    """Put the loaded bytes one after the other, then correct every offset that names them."""
    header = list(_HEADER.unpack_from(data))
    table, count = header[5], header[10]
    placed: dict[int, int] = {}
    out = bytearray()
    in_file = sorted(
        (s for s in segments if s.kind == _LOAD and s.file_size), key=lambda s: s.offset
    )
    if not in_file:
        raise NotCompactableError("none of its bytes are loaded")
    if in_file[0].offset != 0:
        out += data[: _HEADER.size]
    for load in in_file:
        out += bytes((load.vaddr - len(out)) % page)
        placed[load.vaddr] = len(out)
        out += data[load.offset : load.offset + load.file_size]

    moved = [_move_segment(s, in_file, placed, page) for s in segments]
    home = next((s for s in in_file if s.holds(table, count * _SEGMENT.size)), None)
    if home is not None and len(moved) == count:
        at = placed[home.vaddr] + table - home.offset
    else:
        at, moved = _append_table(out, moved)
    for number, segment in enumerate(moved):
        start = at + number * _SEGMENT.size
        out[start : start + _SEGMENT.size] = segment.pack()
    header[5], header[10] = at, len(moved)
    header[6] = header[12] = header[13] = 0  # e_shoff, e_shnum, e_shstrndx: no section headers
    out[: _HEADER.size] = _HEADER.pack(*header)
    result = bytes(out)
    _prove_loads(data, result, before, page)
    return result


def _move_segment(
    segment: _Segment, loads: Sequence[_Segment], placed: Mapping[int, int], page: int
) -> _Segment:
    if segment.kind == _LOAD:
        offset = placed.get(segment.vaddr, segment.vaddr % page)
        return replace(segment, offset=offset, align=min(max(segment.align, 1), page))
    if not segment.file_size:
        return replace(segment, offset=0)
    for load in loads:
        if load.holds(segment.offset, segment.file_size):
            return replace(segment, offset=placed[load.vaddr] + segment.offset - load.offset)
    # it described bytes that are never mapped
    return replace(segment, kind=_NULL, offset=0, file_size=0, memory_size=0)


def _prove_loads(old: bytes, new: bytes, before: Sequence[_Segment], page: int) -> None:
    """Every mapped byte in the new file is what it was, at the address where it was.

    The ELF header and the program headers are the exception: they are what was rewritten.
    """
    table = _HEADER.unpack_from(new)[5]
    rewritten = [(0, _HEADER.size), (table, table + _HEADER.unpack_from(new)[10] * _SEGMENT.size)]
    for load in (s for s in _list_segments(new) if s.kind == _LOAD and s.file_size):
        if (load.offset - load.vaddr) % page:
            raise NotCompactableError("a segment would lie across pages")
        end = load.vaddr + load.file_size
        source = next(
            (s for s in before if s.vaddr <= load.vaddr and end <= s.vaddr + s.file_size), None
        )
        if source is None:
            raise NotCompactableError("a segment would hold bytes of its own")
        at = source.offset + load.vaddr - source.vaddr
        expected = bytearray(old[at : at + load.file_size])
        for low, high in rewritten:
            low, high = max(low, load.offset), min(high, load.offset + load.file_size)  # noqa: PLW2901
            if low < high:
                expected[low - load.offset : high - load.offset] = new[low:high]
        if expected != new[load.offset : load.offset + load.file_size]:
            raise NotCompactableError("a mapped byte would change")
