"""Contents of a cached folder when it was made, and how it differs from that now."""

from __future__ import annotations

import functools
import json
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from packager.system import file_tree

FILENAME: Final = ".packager-manifest.json"
_FORMAT: Final = 1
_SMALL_BYTES: Final = 32_000_000
"""Entries up to this size are read in full each time: answers and tools, not environments."""
_UNREADABLE: Final = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a manifest that someone cut short or filled with something else leads to."""
_NAMED: Final = 3
_BLOCK_BYTES: Final = 4096
_HEAD_BYTES: Final = 200
_LARGE_BYTES: Final = 100_000
_SIZE: Final = re.compile(rb'"disk_bytes":([0-9]{1,18}),"files"')


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: what tells that it was touched, and what tells that it was changed."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    """The inode's change time, which no program sets at will as it does the modification time."""
    executable: bool
    sha256: str

    def is_touched(self, now: os.stat_result) -> bool:
        return (self.modified_ns, self.changed_ns) != (now.st_mtime_ns, now.st_ctime_ns)

    def same_form(self, now: os.stat_result) -> bool:
        return (self.size_bytes, self.executable) == (now.st_size, _is_executable(now))


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link: where it points, and what it led to when the entry was made."""

    target: str
    real: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    made: str
    files: Mapping[str, File]
    links: Mapping[str, Link] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files.values())

    @property
    def disk_bytes(self) -> int:
        """Bytes that the files take on a disk, in whole blocks."""
        blocks = (-(-file.size_bytes // _BLOCK_BYTES) for file in self.files.values())
        return sum(blocks) * _BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Difference of a folder from its manifest: paths relative to it, sorted."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    """Same content, other times: a copy of the cache, or one that was restored."""
    unreadable: str | None = None

    def __str__(self) -> str:
        if self.unreadable is not None:
            return self.unreadable
        kinds = (("changed", self.changed), ("missing", self.missing), ("added", self.added))
        return "; ".join(f"{kind}: {_format_names(names)}" for kind, names in kinds if names)

    @property
    def only_added(self) -> bool:
        return bool(self.added) and not (self.changed or self.missing or self.unreadable)


def write_manifest(folder: Path, digests: Mapping[str, str] | None = None) -> None:
    """Write down every file of `folder`; `digests` are those sha256 that are known already."""
    known = digests or {}
    found = _find_files(folder)
    links = {name for name, path in found.items() if stat.S_ISLNK(os.lstat(path).st_mode)}
    files = {name: path for name, path in found.items() if name not in links}
    hashed = _hash_files({name: path for name, path in files.items() if name not in known})
    manifest = Manifest(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        files={
            name: _describe(path, known.get(name) or hashed[name]) for name, path in files.items()
        },
        links={name: _describe_link(Path(found[name]), folder) for name in found if name in links},
    )
    _save(folder, manifest)


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of an entry; None where it cannot be understood."""
    try:
        content = (folder / FILENAME).read_bytes()
    except OSError:
        return None
    return (_parse_again if len(content) > _LARGE_BYTES else _parse)(content)


def _parse(content: bytes) -> Manifest | None:
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            return None
        return Manifest(
            made=str(document["made"]),
            files={str(name): File(*state) for name, state in document["files"].items()},
            links={str(name): Link(*link) for name, link in document["links"].items()},
        )
    except _UNREADABLE:
        return None


_parse_again = functools.lru_cache(maxsize=2)(_parse)
"""Of large ones: a build uses the model's environment several times."""


def read_size(folder: Path) -> int | None:
    """Read how many bytes an entry takes on a disk, as its manifest says; None where none does."""
    try:
        with (folder / FILENAME).open("rb") as file:
            found = _SIZE.search(file.read(_HEAD_BYTES))
    except OSError:
        return None
    if found:
        return int(found[1])
    manifest = read_manifest(folder)  # of an earlier version
    return None if manifest is None else manifest.disk_bytes


def compare_manifest(folder: Path, manifest: Manifest, *, full: bool = False) -> Difference:
    """Compare `folder` with its manifest.

    Files whose times and size are those of the manifest are taken to be the same; the others are
    read. With `full`, and in a small folder, all are.
    """
    try:
        everything = full or manifest.size_bytes <= _SMALL_BYTES
        return _compare_files(folder, manifest, full=everything)
    except OSError as error:
        return Difference(unreadable=f"it cannot be read: {error.strerror or error}")


def refresh_times(folder: Path, manifest: Manifest, touched: Iterable[str]) -> None:
    """Write down the new times of files whose content is as it was."""
    fresh = {name: _describe(folder / name, manifest.files[name].sha256) for name in touched}
    _save(
        folder,
        Manifest(made=manifest.made, files={**manifest.files, **fresh}, links=dict(manifest.links)),
    )


def _compare_files(folder: Path, manifest: Manifest, *, full: bool) -> Difference:
    found = _find_files(folder)
    changed, doubtful = _compare_stats(found, manifest, full=full)
    changed += [
        name
        for name, link in manifest.links.items()
        if name in found and not _is_same_link(Path(found[name]), link, folder)
    ]
    hashed = _hash_files({name: found[name] for name in doubtful})
    changed += [name for name in doubtful if hashed[name] != manifest.files[name].sha256]
    known = {*manifest.files, *manifest.links}
    touched = set(doubtful) - set(changed)
    return Difference(
        changed=tuple(sorted(changed)),
        missing=tuple(sorted(known - set(found))),
        added=tuple(sorted(set(found) - known)),
        touched=tuple(
            name
            for name in sorted(touched)
            if manifest.files[name].is_touched(os.lstat(found[name]))
        ),
    )


def _compare_stats(
    found: Mapping[str, str], manifest: Manifest, *, full: bool
) -> tuple[list[str], list[str]]:
    """(files whose kind, size or mode is another one, files whose bytes are to be read)."""
    changed: list[str] = []
    doubtful: list[str] = []
    for name, file in manifest.files.items():
        if name not in found:
            continue
        now = os.lstat(found[name])
        if not stat.S_ISREG(now.st_mode) or not file.same_form(now):
            changed.append(name)
        elif full or file.is_touched(now):
            doubtful.append(name)
    return changed, doubtful


def _find_files(folder: Path) -> dict[str, str]:
    """All but the manifest, and one that is just being written.

    Paths are texts: of the ten thousand files of an environment each Path would cost more than the
    look at the file.
    """
    return {name: path for name, path in _walk(folder) if not name.startswith(FILENAME)}


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything below that is no folder, as (relative name, path); links are not followed."""
    todo = [(str(folder), "")]
    while todo:
        here, prefix = todo.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    todo.append((entry.path, f"{name}/"))
                else:
                    yield name, entry.path


def _describe(path: str | Path, sha256: str) -> File:
    now = os.lstat(path)
    return File(now.st_size, now.st_mtime_ns, now.st_ctime_ns, _is_executable(now), sha256)


def _describe_link(path: Path, folder: Path) -> Link:
    target = str(path.readlink())
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or round in a circle
        return Link(target, None)
    top = folder.resolve()
    # the folder is made under another name
    inside = real.is_relative_to(top)
    return Link(target, f"./{real.relative_to(top)}" if inside else str(real))


def _is_same_link(path: Path, link: Link, folder: Path) -> bool:
    return path.is_symlink() and _describe_link(path, folder) == link


def _is_executable(now: os.stat_result) -> bool:
    return bool(now.st_mode & stat.S_IXUSR)


def _hash_files(files: Mapping[str, str]) -> dict[str, str]:
    if not files:
        return {}
    with ThreadPoolExecutor(max_workers=4) as pool:
        digests = pool.map(file_tree.sha256, map(Path, files.values()))
        return dict(zip(files, digests, strict=True))


def _save(folder: Path, manifest: Manifest) -> None:
    document = {
        "format": _FORMAT,
        "made": manifest.made,
        "disk_bytes": manifest.disk_bytes,
        "files": {
            name: [
                *(file.size_bytes, file.modified_ns, file.changed_ns),
                *(file.executable, file.sha256),
            ]
            for name, file in sorted(manifest.files.items())
        },
        "links": {name: [link.target, link.real] for name, link in sorted(manifest.links.items())},
    }
    partial = folder / f"{FILENAME}.{os.getpid()}.{threading.get_ident()}"
    partial.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    partial.replace(folder / FILENAME)


def _format_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
