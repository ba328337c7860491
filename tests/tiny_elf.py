"""A shared library of a few hundred bytes, with the dynamic section that a test wants."""

from __future__ import annotations

import struct
from pathlib import Path

_MACHINES = {"x86_64": 62, "arm64": 183, "386": 3}
_NEEDED, _STRTAB, _SYMTAB, _SONAME, _RPATH, _RUNPATH = 1, 5, 6, 14, 15, 29
_VERNEED, _VERNEEDNUM, _STRSZ = 0x6FFFFFFE, 0x6FFFFFFF, 10


class _Strings:
    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


def library(
    *,
    needed: tuple[str, ...] = (),
    soname: str | None = None,
    runpath: str | None = None,
    rpath: str | None = None,
    glibc: tuple[str, ...] = (),
    architecture: str = "x86_64",
) -> bytes:
    """ELF64, little-endian, with program headers and no section headers.

    Layout after the System V ABI, chapters 4 and 5: header, two program headers (PT_LOAD over
    everything, PT_DYNAMIC), dynamic section, strings, version needs; addresses are file offsets.
    """
    strings = _Strings()
    tags = [(_NEEDED, strings.add(name)) for name in needed]
    tags += [(_SONAME, strings.add(soname))] if soname else []
    tags += [(_RUNPATH, strings.add(runpath))] if runpath else []
    tags += [(_RPATH, strings.add(rpath))] if rpath else []
    names = [strings.add(name) for name in glibc]
    file = strings.add("libc.so.6")
    dynamic_at = 64 + 2 * 56
    count = len(tags) + 4 + (2 if glibc else 0)  # the tables, their size, the end, the versions
    strings_at = dynamic_at + 16 * count
    versions_at = strings_at + len(strings.data)
    # no symbol is ever looked up: there is no hash table
    tags += [(_STRTAB, strings_at), (_SYMTAB, strings_at), (_STRSZ, len(strings.data))]
    versions = b""
    if glibc:
        tags += [(_VERNEED, versions_at), (_VERNEEDNUM, 1)]
        versions = struct.pack("<HHIII", 1, len(names), file, 16, 0)
        for number, name in enumerate(names):
            following = 16 if number + 1 < len(names) else 0
            versions += struct.pack("<IHHII", 0, 0, number + 2, name, following)
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in [*tags, (0, 0)])
    body = dynamic + strings.data + versions
    total = dynamic_at + len(body)
    header = struct.pack(
        "<4sBBBBB7xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0, 0),
        *(3, _MACHINES[architecture], 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0),
    )
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, total, total, 0x1000)
    place = (dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8)
    return header + load + struct.pack("<IIQQQQQQ", 2, 6, *place) + body


def write(root: Path, files: dict[str, bytes]) -> Path:
    """Put files under `root`; a path that ends in .so may be a `library(...)`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root
