"""Choice of a lock's wheel that was installed, by the order in which installers prefer tags."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from packager.types import BuildPlan, Json

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def wheel_digests(plan: BuildPlan) -> dict[tuple[str, str], str]:
    """Name and version to the sha256 of the wheel that fits the plan's platform best.

    The lock is a PEP 751 file (https://packaging.python.org/en/latest/specifications/pylock-toml/).
    """
    order = {tag: rank for rank, tag in enumerate(_list_tags(plan))}
    found: dict[tuple[str, str], str] = {}
    for package in tomllib.loads(plan.lock.text).get("packages", ()):
        digest = _choose_best(package, order)
        if digest is not None:
            found[canonicalize_name(package["name"]), str(package.get("version", ""))] = digest
    return found


def _choose_best(package: Mapping[str, Json], order: Mapping[Tag, int]) -> str | None:
    ranked = []
    for wheel in package.get("wheels", ()):
        digest = wheel.get("hashes", {}).get("sha256")
        rank = _rank_wheel(_read_filename(wheel), order)
        if digest and rank is not None:
            ranked.append((rank, digest))
    return min(ranked)[1] if ranked else None


def _read_filename(wheel: Mapping[str, Json]) -> str:
    where = wheel.get("path") or unquote(urlsplit(str(wheel.get("url", ""))).path)
    return str(wheel.get("name") or PurePosixPath(where).name)


def _rank_wheel(filename: str, order: Mapping[Tag, int]) -> int | None:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return None
    return min((order[tag] for tag in tags if tag in order), default=None)


def _list_tags(plan: BuildPlan) -> Iterator[Tag]:
    major, minor = map(int, plan.runtime.python_minor.split("."))
    platforms = list(_list_platforms(plan.runtime.glibc[1], _machine(plan)))
    yield from cpython_tags((major, minor), platforms=platforms)
    yield from compatible_tags((major, minor), f"cp{major}{minor}", platforms)


def _machine(plan: BuildPlan) -> str:
    return "aarch64" if plan.request.target.architecture == "arm64" else "x86_64"


def _list_platforms(newest: int, machine: str) -> Iterator[str]:
    """PEP 600's names for glibc 2.`newest` and older, each with its older name after it."""
    for minor in range(newest, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"
