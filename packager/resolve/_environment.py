"""The Python and the requirements that the author declared, read as MLflow reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from packager.errors import ModelFormatError
from packager.types import Json, Requirements

_PYTHON: Final = re.compile(r"\d+\.\d+(?:\.\d+)?")
_CONDA_PYTHON: Final = re.compile(r"python\s*(?:<=|==|=)\s*(\d+\.\d+(?:\.\d+)?)")
_CONDA_BUILD: Final = re.compile(r"(?:python|pip|setuptools|wheel)\b")
_COMMENT: Final = re.compile(r"(?:^|\s+)#.*$")
_HASH: Final = re.compile(r"\s+--hash[=\s]\S+")
_INCLUDE: Final = re.compile(r"(?:-([rc])\s*|--(requirement|constraint)[=\s]\s*)(\S+)")
_INDEX: Final = re.compile(
    r"(-i|-f|--index-url|--extra-index-url|--find-links|--no-index)(?:[=\s]\s*(\S+))?$"
)
_LONG: Final = {"-i": "--index-url", "-f": "--find-links"}
_MOST_INCLUDES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    python_version: str | None
    requirements: Requirements
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Read:
    """What was gathered so far; one of these lives for one call of `read`."""

    root: Path
    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    included: int = 0


def read(root: Path, pyfunc: Mapping[str, Json]) -> Environment:
    """Raises ModelFormatError for a file that cannot be read, or that names one that is not there.

    requirements.txt first, else python_env.yaml's dependencies, else the pip part of conda.yaml.
    """
    python_env = _yaml(root / "python_env.yaml")
    conda = _yaml(root / "conda.yaml")
    found = _Read(root)
    if (root / "requirements.txt").is_file():
        source = "requirements.txt"
        _file(found, root / source, constraint=False)
    elif python_env.get("dependencies"):
        source = "python_env.yaml"
        _lines(found, map(str, python_env["dependencies"]), root, constraint=False)
    else:
        source = "conda.yaml"
        _conda(found, conda)
    if not found.lines:
        found.notes.append(
            "The model declares no requirements: what its flavor needs is installed in today's "
            "versions, which may not be those that it was trained with."
        )
    return Environment(
        python_version=_python(python_env, conda, pyfunc),
        requirements=Requirements(
            lines=tuple(dict.fromkeys(found.lines)),
            constraints=tuple(dict.fromkeys(found.constraints)),
            options=tuple(dict.fromkeys(found.options)),
            source=source,
        ),
        notes=tuple(found.notes),
    )


def _python(
    python_env: Mapping[str, Json], conda: Mapping[str, Json], pyfunc: Mapping[str, Json]
) -> str | None:
    """The first that is declared, in full where any names the patch release of the same minor."""
    in_conda = (
        match.group(1)
        for line in conda.get("dependencies") or ()
        if isinstance(line, str) and (match := _CONDA_PYTHON.match(line))
    )
    declared = (str(python_env.get("python", "")), *in_conda, str(pyfunc.get("python_version", "")))
    versions = [match.group() for text in declared if (match := _PYTHON.match(text))]
    if not versions:
        return None
    first = ".".join(versions[0].split(".")[:2])
    same = [version for version in versions if ".".join(version.split(".")[:2]) == first]
    return next((version for version in same if version.count(".") == 2), first)


def _yaml(path: Path) -> Mapping[str, Json]:
    if not path.is_file():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise ModelFormatError(f"{path.name} cannot be read as YAML: {words}.") from error
    if values is not None and not isinstance(values, dict):
        raise ModelFormatError(f"{path.name} holds no table of keys and values.")
    return values or {}


def _conda(found: _Read, conda: Mapping[str, Json]) -> None:
    left_out = []
    for line in conda.get("dependencies") or ():
        if isinstance(line, dict):
            _lines(found, map(str, line.get("pip") or ()), found.root, constraint=False)
        elif not _CONDA_BUILD.match(str(line)):
            left_out.append(str(line))
    if left_out:
        found.notes.append(
            "conda.yaml lists packages outside of its pip part, which MLflow does not install "
            f"with pip either: {', '.join(left_out)}."
        )


def _file(found: _Read, path: Path, *, constraint: bool) -> None:
    found.included += 1
    if found.included > _MOST_INCLUDES:
        raise ModelFormatError(f"{path.name}: requirements files include each other without end.")
    if not path.resolve().is_relative_to(found.root.resolve()):
        raise ModelFormatError(
            f"The requirements include a file outside of the model: {path.name}."
        )
    if not path.is_file():
        raise ModelFormatError(f"The requirements include {path.name}, which is not in the model.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path.name} cannot be read: it is not UTF-8 ({error}).") from error
    # a line that ends in a backslash goes on
    _lines(found, iter(text.replace("\\\n", " ").splitlines()), path.parent, constraint=constraint)


def _lines(found: _Read, lines: Iterator[str], base: Path, *, constraint: bool) -> None:
    for raw in lines:
        line = _HASH.sub("", _COMMENT.sub("", raw.strip())).strip()
        if not line:
            continue
        if include := _INCLUDE.match(line):
            kind = include.group(1) or include.group(2)[0]
            _file(found, base / include.group(3), constraint=constraint or kind == "c")
        elif index := _INDEX.match(line):
            name = _LONG.get(index.group(1), index.group(1))
            found.options.append(f"{name} {index.group(2)}" if index.group(2) else name)
        elif line.startswith("-"):
            found.notes.append(f"The requirements' option `{line.split()[0]}` is not used.")
        elif constraint:
            found.constraints.append(line)
        else:
            found.lines.append(_requirement(found.root, line))


def _requirement(root: Path, line: str) -> str:
    """The line; a wheel's path is checked and made relative to the model."""
    if not line.endswith(".whl") or "://" in line or "@" in line:
        return line
    path = (root / line).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ModelFormatError(f"The requirements name a wheel outside of the model: {line}.")
    if not path.is_file():
        raise ModelFormatError(f"The requirements name {line}, which is not in the model.")
    return path.relative_to(root.resolve()).as_posix()
