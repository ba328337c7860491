"""Pins of requirement lines, read as ranges of patch releases of the same minor version."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from packager.types import Requirements

_EXACT: Final = frozenset({"==", "==="})


def loosen_requirements(requirements: Requirements, names: Collection[str]) -> Requirements:
    """The requirements whose pins of `names` take newer patch releases too."""

    def loosen(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            new = loosen_line(line)
            yield new if new and name_line(line) in names else line

    return replace(
        requirements,
        lines=tuple(loosen(requirements.lines)),
        constraints=tuple(loosen(requirements.constraints)),
        overrides=tuple(loosen(requirements.overrides)),
    )


def loosen_line(line: str) -> str | None:
    """The line with what its pin and newer patch releases allow; None where it pins nothing.

    `numpy==1.23.1` becomes `numpy>=1.23.1,==1.23.*`. Of a version with one number the minor one
    is 0, of a build of its own (`2.1.0+cu121`) the version counts.
    """
    requirement = _parse(line)
    pin = _find_pin(requirement)
    if requirement is None or pin is None:
        return None
    version = Version(pin)
    major, minor = (*version.release, 0)[:2]
    epoch = f"{version.epoch}!" if version.epoch else ""
    others = [str(each) for each in requirement.specifier if each.operator not in _EXACT]
    limits = (f">={version.public}", f"=={epoch}{major}.{minor}.*", *others)
    requirement.specifier = SpecifierSet(",".join(limits))
    return str(requirement)


def _find_pin(requirement: Requirement | None) -> str | None:
    """The one version that a requirement allows, where it states it by itself."""
    if requirement is None or requirement.url is not None:
        return None
    pins = [each.version for each in requirement.specifier if each.operator in _EXACT]
    if len(pins) != 1 or pins[0].endswith(".*"):
        return None
    try:
        Version(pins[0])
    except InvalidVersion:
        return None
    return pins[0]


def read_pin(line: str) -> str:
    """The version that a line pins; empty for none."""
    return _find_pin(_parse(line)) or ""


def state_pin(line: str) -> str:
    """The pin of a line with its name and extras, and nothing else; empty for none."""
    requirement = _parse(line)
    version = _find_pin(requirement)
    if requirement is None or version is None:
        return ""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{canonicalize_name(requirement.name)}{extras}=={version}"


def name_line(line: str) -> str:
    """The distribution that a line asks for; empty for a wheel of the model's own."""
    requirement = _parse(line)
    return "" if requirement is None else canonicalize_name(requirement.name)


def _parse(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    # a wheel of the model's own
    except InvalidRequirement:
        return None
