"""Installed files, compared with what their wheels list: RECORD in each *.dist-info.

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import base64
import csv
import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.system import file_tree

_ALGORITHMS: Final = frozenset({"sha256", "sha384", "sha512"})
"""What the specification allows: https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
_BY_INSTALLER: Final = frozenset(
    {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}
)
"""Files of a dist-info that are no wheel's."""
_PATIENCE: Final = 64
"""Files that a thread takes at once."""


@dataclass(frozen=True, slots=True)
class Fault:
    package: str
    """The distribution's name, empty where no wheel lists anything near the file."""
    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} of {self.package or 'no package'} {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Empty where nothing was installed."""

    packages: tuple[str, ...] = ()
    """Distributions that have a list."""
    wrong: tuple[Fault, ...] = ()
    """Files that are not what their wheel lists."""
    unlisted: tuple[Fault, ...] = ()
    """Files that no wheel lists."""
    unhashed: tuple[str, ...] = ()
    """Files that are listed without a digest, other than RECORD itself and bytecode."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """By distribution, one digest of all that its wheel lists."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """sha256 of the files that are what they should be, by their names below the folder."""


@dataclass(frozen=True, slots=True)
class _Row:
    package: str
    name: str
    algorithm: str
    digest: str


def compare_record(site: Path, *, before: frozenset[str] = frozenset()) -> Compared:
    """Compare every file below `site` with the RECORD of the wheel that it is from.

    `before` are the files that were there before anything was installed. Raises OSError where a
    file cannot be read.
    """
    rows = _read_records(site)
    hashed = [row for row in rows if row.algorithm in _ALGORITHMS]
    with ThreadPoolExecutor(max_workers=4) as pool:
        states = list(pool.map(lambda row: _read_state(site, row), hashed, chunksize=_PATIENCE))
    # of wheels that bring one file each their own way the last has its way: as any of them lists it
    right = {row.name for row, (why, _) in zip(hashed, states, strict=True) if not why}
    right |= {row.name for row in rows if row.algorithm not in _ALGORITHMS}
    faults = (
        Fault(row.package, row.name, why) for row, (why, _) in zip(hashed, states, strict=True)
    )
    listed = {row.name for row in rows}
    there = {path.as_posix() for path in file_tree.walk(site)} - before
    return Compared(
        packages=tuple(sorted({row.package for row in rows})),
        wrong=tuple(fault for fault in faults if fault.why and fault.path not in right),
        unlisted=tuple(_find_owners(sorted(there - listed), rows)),
        unhashed=tuple(sorted(row.name for row in rows if _lacks_digest(row))),
        lists=_digest_lists(rows),
        digests=_list_digests(hashed, states),
    )


def _read_records(site: Path) -> list[_Row]:
    return [row for record in sorted(site.glob("*.dist-info/RECORD")) for row in _read_rows(record)]


def _lacks_digest(row: _Row) -> bool:
    return not row.digest and not _is_never_hashed(row.name)


def _list_digests(rows: Iterable[_Row], states: Iterable[tuple[str, str]]) -> dict[str, str]:
    """sha256 by name of the files below the folder that are as listed."""
    return {
        row.name: digest
        for row, (why, digest) in zip(rows, states, strict=True)
        if not why and digest and not row.name.startswith("..")
    }


def _read_rows(record: Path) -> list[_Row]:
    package = record.parent.name.removesuffix(".dist-info").rpartition("-")[0]
    try:
        with record.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error):
        return []  # a list that is none: its files are in nobody's
    split = [(row[0], *(row[1] if len(row) > 1 else "").partition("=")[::2]) for row in rows]
    return [
        _Row(package, posixpath.normpath(name), algorithm, digest)
        for name, algorithm, digest in split
    ]


def _read_state(site: Path, row: _Row) -> tuple[str, str]:
    """Return what is wrong with the file, or "", and its sha256 where that is known."""
    path = site / row.name
    if not path.is_file():
        return "is missing", ""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, row.algorithm)
    if base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != row.digest:
        return f"is not the file whose {row.algorithm} its wheel lists", ""
    return "", digest.hexdigest() if row.algorithm == "sha256" else ""


def _find_owners(names: Iterable[str], rows: Iterable[_Row]) -> list[Fault]:
    """A file that no wheel lists belongs to the one that fills the folder at the top."""
    tops = {row.name.partition("/")[0]: row.package for row in rows if "/" in row.name}
    return [
        Fault(tops.get(top, "") if rest else "", name, "is in no wheel's list")
        for name in names
        for top, _, rest in (name.partition("/"),)
    ]


def _digest_lists(rows: Iterable[_Row]) -> dict[str, str]:
    """Without what the installer adds: its own notes, and scripts with a path of this machine."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        own = row.name.partition(".dist-info/")[2] in _BY_INSTALLER
        if not own and not row.name.startswith(("../", "bin/")):
            lines.setdefault(row.package, []).append(f"{row.name},{row.algorithm}={row.digest}")
    return {
        package: hashlib.sha256("\n".join(sorted(those)).encode()).hexdigest()
        for package, those in lines.items()
    }


def _is_never_hashed(name: str) -> bool:
    """The specification lets these be listed without a digest."""
    return name.endswith((".pyc", ".dist-info/RECORD", "/RECORD.jws", "/RECORD.p7s"))
