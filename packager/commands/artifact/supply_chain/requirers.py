"""Reasons why each distribution ships, with the names of what requires it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path
from types import MappingProxyType
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from packager.types import REQUIRED_BESIDE, Architecture, BuildPlan

_MACHINES: Final[Mapping[Architecture, str]] = MappingProxyType(
    {"x86_64": "x86_64", "arm64": "aarch64"}
)
"""As Linux calls them."""
_LINUX: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
)


def explain_shipped(tree: Path, plan: BuildPlan) -> Mapping[str, str]:
    """Distribution -> why it ships, by name; `tree` holds the installed metadata."""
    requirers = read_requirers(tree, plan.runtime.python_minor, plan.request.target.architecture)
    return {
        name: _name_requirers(requirers.get(name, [])) if why == REQUIRED_BESIDE else why
        for name, why in sorted(plan.kept_for.items())
    }


def _name_requirers(names: list[str]) -> str:
    if not names:
        return REQUIRED_BESIDE
    return f"{', '.join(names)} {'requires' if len(names) == 1 else 'require'} it"


def read_requirers(tree: Path, minor: str, architecture: Architecture) -> Mapping[str, list[str]]:
    """Distribution -> those in the tree whose metadata require it where the function runs."""
    function = {
        "python_version": minor,
        "python_full_version": f"{minor}.0",
        "implementation_version": f"{minor}.0",
        "platform_machine": _MACHINES[architecture],
    }
    environment = {**_read_environment(), **_LINUX, **function}
    found: dict[str, list[str]] = {}
    for path in sorted(tree.glob("*.dist-info/METADATA")):
        message = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
        owner = canonicalize_name(str(message["Name"]))
        for name in dict.fromkeys(
            _list_required(message.get_all("Requires-Dist", ()), environment)
        ):
            found.setdefault(name, []).append(owner)
    return found


def _read_environment() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}


def _list_required(lines: list[str] | tuple[()], environment: dict[str, str]) -> Iterator[str]:
    for line in lines:
        try:
            requirement = Requirement(str(line))
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield canonicalize_name(requirement.name)
