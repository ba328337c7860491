"""Unpack what a Debian package holds, as a stranger's: bounded in size, and inside one folder.

Nothing of it is installed or run: no script of the package is read.
https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html
"""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from packager.errors import ToolError

MOST_BYTES: Final = 512 << 20
"""Of one package, unpacked: the largest that a Python needs has 20 MB."""
_MOST_MEMBERS: Final = 20_000
_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_WANTED: Final = ("usr/bin", "usr/lib", "usr/share/zoneinfo")
_MERGED: Final = ("bin", "lib", "lib64")
"""Folders that are links into usr/ in every Debian since bookworm."""
_FAULTS: Final = (tarfile.TarError, lzma.LZMAError, EOFError, ValueError, OSError)


def unpack_package(
    content: bytes, into: Path, name: str, *, most_bytes: int = MOST_BYTES, left_out: str = ""
) -> None:
    """Unpack the programs and libraries of a package into the folder `into`, as `usr/...`.

    Members whose names begin with `left_out` stay out. Raises ToolError for what is no package,
    for more than `most_bytes`, and for a path or a link that leads out of `into`.
    """
    try:
        packed = _find_data(content)
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r|*") as members:
            for member in _choose_members(members, most_bytes, left_out):
                members.extract(member, into, filter="data")
    except _FAULTS as error:
        raise ToolError(
            f"The package {name} cannot be unpacked: {error}. It was not used: try again, or name "
            "another mirror in PACKAGER_DEBIAN_MIRROR."
        ) from error


def _find_data(content: bytes) -> bytes:
    """Return the archive of files out of the outer one. Raises ValueError where there is none."""
    if not content.startswith(_MAGIC):
        raise ValueError("it is no package of Debian's")
    at = len(_MAGIC)
    while at + _HEADER <= len(content):
        header = content[at : at + _HEADER]
        size = int(header[48:58])
        if size < 0 or at + _HEADER + size > len(content):
            raise ValueError("it is cut short")
        if header[:16].strip().rstrip(b"/").startswith(b"data.tar"):
            return content[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size + size % 2
    raise ValueError("it has no data.tar")


def _choose_members(
    members: tarfile.TarFile, most_bytes: int, left_out: str
) -> Iterator[tarfile.TarInfo]:
    """Yield files and links among what is wanted, each below usr/; folders come with them."""
    size = 0
    for count, member in enumerate(members):
        size += member.size
        if size > most_bytes or count >= _MOST_MEMBERS:
            raise ValueError(f"it unpacks to more than {most_bytes:,} bytes, or too many files")
        path = _place_member(member)
        if path is not None and not (left_out and path.startswith(left_out)):
            yield member.replace(name=path, deep=False)


def _place_member(member: tarfile.TarInfo) -> str | None:
    """Return where a file or a link is put, below usr/; None for what is not wanted.

    Raises ValueError for a path that leads out.
    """
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {member.name!r} leads out of it")
    if path.parts[:1] and path.parts[0] in _MERGED:
        path = "usr" / path
    # a link to an absolute path would be one of this machine's
    links_away = member.issym() and member.linkname.startswith("/")
    is_kind = member.isfile() or (member.issym() and not links_away)
    wanted = is_kind and any(path.is_relative_to(each) for each in _WANTED)
    return path.as_posix() if wanted else None


def list_wanted(names: Collection[str]) -> tuple[str, ...]:
    """List those of a package's dependencies that a Python runs on: libraries, and its own."""
    return tuple(sorted(each for each in names if each.startswith(("lib", "python3.", "zlib"))))
