"""Libraries of the tree that loading one of them loads, found as glibc's loader finds them.

Source: ld.so(8), and elf/dl-load.c of glibc 2.34: a library without DT_RUNPATH is given the
DT_RPATH of itself, of what loads it, and so on up; then comes LD_LIBRARY_PATH, then DT_RUNPATH.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from packager.pipeline.slim.passes import each_wanted
from packager.system import elf as _elf
from packager.system.elf import Elf


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Paths are relative to the function's folder."""

    direct: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A library to those that the loader may load on its behalf, whatever loads it."""
    every: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A library to all that are loaded where it is the first."""
    by_environment: frozenset[str] = frozenset()
    """Libraries that LD_LIBRARY_PATH leads to: nowhere else would they be found."""


def read_libraries(root: Path, files: Iterable[str]) -> dict[str, Elf]:
    """Every shared library of the tree that can be read: the linkage check reports the others."""
    libraries = {}
    for path in each_wanted(sorted(files)):
        if ".so" not in path.rpartition("/")[2] or not _elf.is_elf(root / path):
            continue
        try:
            libraries[path] = _elf.read(root / path)
        except ValueError:
            continue
    return libraries


def resolve_needs(
    libraries: Mapping[str, Elf],
    files: Collection[str],
    searched: Iterable[PurePosixPath] = (),
) -> Needs:
    """Resolve what each library needs among `files`.

    `searched` is the target's LD_LIBRARY_PATH.
    """
    direct: dict[str, set[str]] = {path: set() for path in libraries}
    every: dict[str, frozenset[str]] = {}
    by_environment: set[str] = set()
    environment = tuple(searched)
    for first in libraries:
        loaded: set[str] = set()
        todo: list[tuple[str, tuple[PurePosixPath, ...]]] = [(first, ())]
        asked = set(todo)
        while todo:
            path, inherited = todo.pop()
            if path not in libraries:
                continue
            elf = libraries[path]
            before, after, passed = _list_folders(path, elf, inherited)
            for place, through in _find(elf.needed, files, before, environment, after):
                direct[path].add(place)
                loaded.add(place)
                by_environment.update({place} if through else ())
                if (step := (place, passed)) not in asked:
                    asked.add(step)
                    todo.append(step)
        every[first] = frozenset(loaded - {first})
    return Needs(
        direct={path: frozenset(needed - {path}) for path, needed in direct.items()},
        every=every,
        by_environment=frozenset(by_environment),
    )


def _list_folders(
    path: str, elf: Elf, inherited: tuple[PurePosixPath, ...]
) -> tuple[tuple[PurePosixPath, ...], tuple[PurePosixPath, ...], tuple[PurePosixPath, ...]]:
    """Folders searched before LD_LIBRARY_PATH and after it, and those that its own needs inherit.

    DT_RPATH is searched first and handed on; DT_RUNPATH last, and by the library alone.
    """
    own = tuple(_elf.expand_folder(each, PurePosixPath(path)) for each in elf.search)
    if elf.inherited:
        passed = tuple(dict.fromkeys((*own, *inherited)))
        return passed, (), passed
    return ((), own, inherited) if own else (inherited, (), inherited)


def _find(
    names: Iterable[str],
    files: Collection[str],
    before: Iterable[PurePosixPath],
    environment: Iterable[PurePosixPath],
    after: Iterable[PurePosixPath],
) -> Iterator[tuple[str, bool]]:
    """The first place of each name, and whether the environment leads to it."""
    folders = (
        *((folder, False) for folder in before),
        *((folder, True) for folder in environment),
        *((folder, False) for folder in after),
    )
    for name in names:
        for folder, through in folders:
            place = (folder / name).as_posix()
            if place in files:
                yield place, through
                break
