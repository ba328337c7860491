"""Entry points that an installed environment's distributions declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name


def list_declaring(python: Path, groups: Iterable[str]) -> Mapping[str, str]:
    """Distributions of the environment of `python`, by the first of the groups that each declares.

    One that is not installed as wheels are, and has no metadata, declares nothing.
    """
    wanted = frozenset(groups)
    if not wanted:
        return {}
    folders = sorted((python.parent.parent / "lib").glob("python3*/site-packages"))
    found: dict[str, str] = {}
    for each in distributions(path=[str(folder) for folder in folders]):
        declared = sorted(wanted & {point.group for point in each.entry_points})
        if declared:
            found[canonicalize_name(each.name)] = declared[0]
    return dict(sorted(found.items()))
