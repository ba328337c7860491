"""Facts about distributions, held to those that are installed beside packager.

A distribution of another version than the facts state, and one that is not here, tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import PurePosixPath
from typing import Final, cast

from packager.commands.facts_check.checks import Compared, make_check
from packager.facts import Fact
from packager.types import FactCheck

_MODULES: Final = "modules.toml modules names"
_LIBRARIES: Final = "libraries.toml"


def compare_installed(known: Sequence[Fact]) -> Compared:
    checks = [*_compare_modules(known), *_compare_donors(known)]
    return Compared(checks, "distributions that are installed beside packager, by their files")


def _compare_modules(known: Sequence[Fact]) -> Iterator[FactCheck]:
    """Hold the modules of each distribution to its files; distutils, say, is there by a hook."""
    table = next((fact for fact in known if f"{fact.file} {fact.name} names" == _MODULES), None)
    if table is None:
        return
    names = cast("Mapping[str, str]", table.values.get("names") or {})
    files = {name: found for name in names if (found := _list_files(_find(name)))}
    wrong = [
        name
        for name, paths in files.items()
        if not any(_has_module(paths, module) for module in names[name].split())
    ]
    if files:
        yield make_check(
            _MODULES, f"{len(names)} distributions",
            f"{len(files)} of them installed, {len(wrong)} without their modules"
            + (f": {', '.join(wrong)}" if wrong else ""),
            holds=not wrong,
            remedy="Look at what these distributions are imported as, and set it.",
        )  # fmt: skip


def _compare_donors(known: Sequence[Fact]) -> Iterator[FactCheck]:
    for fact in known:
        if fact.file != _LIBRARIES or not fact.name.startswith("donors "):
            continue
        name, version, glob = (
            str(fact.values.get(key)) for key in ("distribution", "version", "glob")
        )
        found = _find(name)
        if found is None or found.version != version:
            continue
        has = any(PurePosixPath(path).match(glob) for path in _list_files(found))
        at = f"{fact.file} {fact.name}"
        yield make_check(
            f"{at} glob", glob, f"{name} {version} {'has' if has else 'has not'} such a file",
            holds=has,
            fields=[f"{at} {field}" for field in ("library", "distribution", "version", "glob")],
            remedy="Look at where the wheel has its copy of the library, and set it.",
        )  # fmt: skip


def _find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _list_files(found: Distribution | None) -> list[str]:
    return [] if found is None else [path.as_posix() for path in found.files or ()]


def _has_module(paths: Sequence[str], module: str) -> bool:
    start = module.replace(".", "/")
    return any(path.startswith((f"{start}/", f"{start}.")) for path in paths)
