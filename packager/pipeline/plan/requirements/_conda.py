"""Packages as conda writes them, read as requirements of the same code on a Python package index.

https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from packager.system.redaction import redact
from packager.types import LineChange, Requirements, ResolvedModel

_CHANNEL: Final = re.compile(r"[\w./:@-]{1,200}::")
_SPEC: Final = re.compile(r"([A-Za-z_][\w.-]*)\s*(.*)")
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]\s*$")
_KEY: Final = re.compile(r"(\w+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^,\s]+))")
_SPACED: Final = re.compile(r"([\w.!+*]+)(?:\s+(\S+))?")
_EXACT: Final = re.compile(r"=?=?\s*([\w.!+*]+)(?:\s*=\s*(\S+))?")
_FILE: Final = re.compile(
    r"(?:https?|file)://\S{1,2000}/(?:noarch|(?:linux|osx|win|emscripten|freebsd)-[\w-]+)/"
    r"([^/\s#]+)\.(?:conda|tar\.bz2)(?:#\w+)?"
)
_EXPLICIT: Final = "@EXPLICIT"
_PYTHONS: Final = re.compile(r"(?:^|_)py(?:\d|h|_)|^pypi_")
"""Builds of conda that belong to a Python; others are libraries."""
_LIBRARY: Final = re.compile(r"([A-Za-z_][\w.-]*)\s*=\s*[\w.!+*]+(?:\s*=\s*(\w+))?")
"""A name, a version of any form (`openssl=1.1.1w`), a build."""
_PARTS: Final = 3
"""Numbers of a whole version: `numpy=1.26` stands for every 1.26."""
_NUMBERED: Final = frozenset({"opencv-python", "opencv-python-headless"})
"""Distributions whose versions have a fourth number: which wheel of the three it is."""
_IN_YAML: Final = "{} (conda.yaml)"
PREFERRED: Final = "what else requires it gets that version where the rest allows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPackage:
    """A package of conda: what it is called there, which versions, which build."""

    name: str
    specifier: str = ""
    """As a requirement has it; empty for any."""
    build: str = ""


def parse_package(line: str) -> CondaPackage | None:
    """Read a package in any form of conda's; None for what is in none of them."""
    if file := _FILE.fullmatch(line):
        parts = file[1].rsplit("-", 2)
        if len(parts) < _PARTS:
            return None
        return CondaPackage(name=parts[0], specifier=f"=={parts[1]}", build=parts[2])
    spec = _SPEC.fullmatch(_CHANNEL.sub("", line, count=1).strip())
    if spec is None:
        return None
    keys: dict[str, str] = {}
    name, rest = spec[1], spec[2]
    if inside := _BRACKETS.search(rest):
        keys = {key: one or two or bare for key, one, two, bare in _KEY.findall(inside[1])}
        rest = rest[: inside.start()].strip()
    read = _read_versions(rest or keys.get("version", ""))
    if read is None:
        return None
    specifier, build = read
    return CondaPackage(name=name, specifier=specifier, build=build or keys.get("build", ""))


def read_line(line: str, names: Mapping[str, str]) -> LineChange | None:
    """Read a requirement line that is one of conda's; None for other lines."""
    if line == _EXPLICIT:
        return LineChange(line=line, reason="the heading of conda's list of files")
    package = parse_package(line)
    found = package or _parse_library(line)
    if _is_requirement(line) or found is None:
        return None
    used = name_requirement(found, names)
    if used is None:
        why = "conda's package, which no Python package index has"
        return LineChange(line=redact(line), reason=why)
    if package is None:
        return None  # a version that Python cannot read: it is refused where the line is needed
    why = f"conda's form, without its {'file' if '://' in line else 'channel and build'}"
    return LineChange(line=redact(line), used=used, reason=why)


def _parse_library(line: str) -> CondaPackage | None:
    """Read the name and the build where the version is none of Python's; None for other forms."""
    found = _LIBRARY.fullmatch(_CHANNEL.sub("", line, count=1).strip())
    return found and CondaPackage(name=found[1], build=found[2] or "")


def name_requirement(package: CondaPackage, names: Mapping[str, str]) -> str | None:
    """The requirement of the same code; None where it is no package of Python's.

    `names` has the distributions of conda's packages by their names.
    """
    known = _find_known(package.name.lower(), names)
    if known == "" or (known is None and package.build and not _PYTHONS.search(package.build)):
        return None
    name, specifier = known or package.name, package.specifier
    if name in _NUMBERED and re.fullmatch(r"==\d+\.\d+\.\d+", specifier):
        specifier += ".*"
    return f"{name}{specifier}"


def _find_known(name: str, names: Mapping[str, str]) -> str | None:
    """The distribution by its own name, else by the beginning of one."""
    if name in names:
        return names[name]
    begins = (key for key in names if key.endswith("*") and name.startswith(key[:-1]))
    return next((names[key] for key in begins), None)


def settle_packages(
    model: ResolvedModel, names: Mapping[str, str], explain_need: Callable[[str], str]
) -> ResolvedModel:
    """The model with those packages of conda.yaml's that serving may need; `changes` say which.

    MLflow installs the pip part alone, conda the others too. `explain_need` says by what a
    distribution is needed. Of what nothing needs the versions are preferred: what ships may
    require it. They are no more than that: what conda created pip may have upgraded.
    """
    requirements = model.requirements
    listed = {name for line in requirements.lines if (name := _name(line))}
    done = {change.line for change in requirements.changes}
    lines, changes = [*requirements.lines], [*requirements.changes]
    preferred = [*requirements.preferred]
    for text in requirements.conda:
        shown = _show(text)
        package = parse_package(text)
        line = None if package is None else name_requirement(package, names)
        name = "" if line is None else _name(line)
        if shown in done or name in listed:
            continue
        if package is None:
            why = "it is in no form of conda's that is known"
            changes.append(LineChange(line=shown, reason=why))
        elif line is None:
            why = "conda's package, which no Python package index has"
            changes.append(LineChange(line=shown, reason=why))
        elif need := explain_need(name):
            listed.add(name)
            lines.append(line)
            changes.append(LineChange(line=shown, used=line, reason=need))
        else:
            why = "it is outside of the pip part, and nothing that the model names needs it"
            if package.specifier:
                preferred.append(line)
                why += f"; {PREFERRED}"
            changes.append(LineChange(line=shown, reason=why))
    found = replace(
        requirements,
        lines=tuple(lines),
        preferred=tuple(dict.fromkeys(preferred)),
        changes=tuple(changes),
    )
    return replace(model, requirements=found)


def list_shown(requirements: Requirements) -> frozenset[str]:
    """The lines of `changes` that stand for packages of conda.yaml's."""
    return frozenset(map(_show, requirements.conda))


def _show(text: str) -> str:
    return _IN_YAML.format(redact(text))


def _read_versions(text: str) -> tuple[str, str] | None:
    """(specifier, build) of what stands behind a name; None where it is no version."""
    text = text.strip()
    if text in {"", "*", "=*", "==*"}:
        return "", ""
    exact = _EXACT.fullmatch(text) if text.startswith("=") else _SPACED.fullmatch(text)
    if exact is None:
        return _read_range(text)
    version, build = exact[1], exact[2] or ""
    fuzzy = text.startswith("=") and not text.startswith("==") and not build
    if version.endswith("*"):
        version = version.rstrip(".*")
        fuzzy = True
    elif fuzzy:
        fuzzy = version.count(".") + 1 < _PARTS
    return _check(f"=={version}.*" if fuzzy and version else f"=={version}" * bool(version), build)


def _read_range(text: str) -> tuple[str, str] | None:
    """Several conditions with commas, each with its operator or none."""
    parts = [part.strip() for part in text.split(",")]
    return _check(
        ",".join(
            f"=={part.lstrip('=')}" if re.match(r"=[^=]|\d", part) else part for part in parts
        ),
        "",
    )


def _check(specifier: str, build: str) -> tuple[str, str] | None:
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        return None
    return specifier, build


def _is_requirement(line: str) -> bool:
    try:
        Requirement(line)
    # explained by `_refusals`, which reads every line
    except (InvalidRequirement, ValueError, RecursionError):
        return False
    return True


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line).name)
    # a wheel of the model's own
    except InvalidRequirement:
        return ""
