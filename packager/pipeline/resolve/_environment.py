"""The Python and the requirements that the author declared, read as MLflow reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.errors import ModelFormatError
from packager.models import model_documents
from packager.pipeline.resolve._indexes import Indexes
from packager.pipeline.resolve._requirements_file import (
    Reading,
    read_file,
    read_lines,
    redact_files,
)
from packager.types import Requirements

_PYTHON: Final = re.compile(r"\d+\.\d+(?:\.\d+)?")
_YAMLS_310: Final = 3.1
_INCLUDES: Final = re.compile(r"\s*(?:-r|--requirement)[\s=]*requirements\.txt\s*")
_CONDA_PYTHON: Final = re.compile(r"(?:[\w./-]+::)?python\s*(?:<=|==|=|\s)\s*(\d+\.\d+(?:\.\d+)?)")
_CONDA_BUILD: Final = re.compile(r"(?:[\w./-]+::)?(?:python|pip|setuptools|wheel)(?![\w.-])")


_DECLARATIONS: Final = ("conda.yaml", "python_env.yaml", "pyproject.toml", "uv.lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    python_version: str | None
    requirements: Requirements
    notes: tuple[str, ...] = ()


def read(root: Path, pyfunc: Mapping[str, object], *, trust_index: bool = False) -> Environment:
    """Read them, and take passwords out of the files of `root`, which is a copy.

    Raises ModelFormatError for a file that cannot be read, and for every line that is refused.

    requirements.txt first, else python_env.yaml's dependencies, else the pip part of conda.yaml.
    Where requirements.txt is missing, python_env.yaml's line that includes it gives way to that.
    `trust_index` heeds the indexes that the model names and this machine's user does not.
    """
    python_env = _yaml(root / "python_env.yaml")
    conda = _yaml(root / "conda.yaml")
    in_python_env = _dependencies(python_env, "python_env.yaml")
    in_conda = _dependencies(conda, "conda.yaml")
    found = Reading(root, Indexes(root, trust_index))
    if (root / "requirements.txt").is_file():
        source = "requirements.txt"
        read_file(found, root / source)
    elif lines := _list_own_lines(in_python_env, is_listed=_has_pip_part(in_conda)):
        source = "python_env.yaml"
        read_lines(found, lines, root)
    else:
        source = "conda.yaml"
        for entry in in_conda:
            if isinstance(entry, dict):
                read_lines(found, entry.get("pip") or (), found.root)
    found.check()
    others = (root / name for name in _DECLARATIONS)
    redact_files([*dict.fromkeys(found.files), *(path for path in others if path.is_file())])
    if not found.lines and not _list_packages(in_conda):
        found.notes.append(
            "The model declares no requirements: what its flavor needs is installed in today's "
            "versions, which may not be those that it was trained with."
        )
    return Environment(
        python_version=_python(python_env, in_conda, pyfunc),
        requirements=Requirements(
            lines=tuple(dict.fromkeys(found.lines)),
            constraints=tuple(dict.fromkeys(found.constraints)),
            options=found.indexes.list_heeded(),
            hashes=found.hashes,
            unused_indexes=tuple(dict.fromkeys(found.indexes.unused)),
            source=source,
            conda=_list_packages(in_conda),
            changes=tuple(dict.fromkeys(found.changes)),
        ),
        notes=tuple(found.notes),
    )


def _python(
    python_env: Mapping[str, object], dependencies: Sequence[object], pyfunc: Mapping[str, object]
) -> str | None:
    """The first that is declared, in full where any names the patch release of the same minor."""
    in_conda = (
        match.group(1)
        for line in dependencies
        if isinstance(line, str) and (match := _CONDA_PYTHON.match(line))
    )
    declared = (
        _read_number(python_env.get("python", "")),
        *in_conda,
        _read_number(pyfunc.get("python_version", "")),
    )
    versions = [match.group() for text in declared if (match := _PYTHON.match(text))]
    if not versions:
        return None
    first = ".".join(versions[0].split(".")[:2])
    same = [version for version in versions if ".".join(version.split(".")[:2]) == first]
    return next((version for version in same if version.count(".") == 2), first)


def _read_number(value: object) -> str:
    """A version; 3.10 without quotes is the number 3.1 to YAML, and no model is of Python 3.1."""
    return "3.10" if isinstance(value, float) and value == _YAMLS_310 else str(value)


def _list_own_lines(dependencies: Sequence[object], *, is_listed: bool) -> list[str]:
    """Lines of python_env.yaml, without the missing file where conda.yaml lists what was in it."""
    lines = [line for line in dependencies if isinstance(line, str)]
    return [line for line in lines if not (is_listed and _INCLUDES.fullmatch(line))]


def _has_pip_part(dependencies: Sequence[object]) -> bool:
    """Tell whether conda.yaml lists pip's packages itself, and not by the file that is missing."""
    parts = [entry.get("pip") or () for entry in dependencies if isinstance(entry, dict)]
    return any(not _INCLUDES.fullmatch(str(line)) for part in parts for line in part)


def _yaml(path: Path) -> Mapping[str, object]:
    return model_documents.read_yaml(path) if path.is_file() else {}


def _dependencies(values: Mapping[str, object], name: str) -> list[object]:
    """Raises ModelFormatError where they are no list of texts and tables of pip's."""
    listed = values.get("dependencies")
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise ModelFormatError(
            f"{name}: `dependencies` is not a list of packages. Correct the file."
        )
    for entry in listed:
        inner = entry.get("pip") if isinstance(entry, dict) else [entry]
        if inner is not None and not _is_texts(inner):
            raise ModelFormatError(
                f"{name}: `dependencies` holds {str(entry)[:60]!r}, which is neither a package nor "
                "a table `pip` with a list of packages. Correct the file."
            )
    return listed


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _list_packages(dependencies: Sequence[object]) -> tuple[str, ...]:
    """Packages outside of the pip part, which conda installs and MLflow does not."""
    return tuple(
        line
        for line in dependencies
        if isinstance(line, str) and line.strip() and not _CONDA_BUILD.match(line)
    )
