"""An artifact's folder as a build left it: how it is known, and what it says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers.manifest import FILENAME, Manifest
from packager.commands.artifact.description import find_inside, read_json
from packager.errors import ModelFormatError
from packager.system import atomic_output
from packager.types import INTERFACE, Architecture

_MINOR: Final = re.compile(r"3\.\d{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An artifact as its report has it; paths are absolute, wherever it is named from."""

    folder: Path
    """As it is deployed."""
    home: Path
    """Where the deployment's files lie."""
    target: str
    architecture: Architecture
    memory_mb: int
    """What the template gives it."""
    packager: str = "of an unknown version"
    """The version of the packager that built it."""
    interface: int = INTERFACE
    """See packager.types.INTERFACE; 1 where the report is older than that number."""


def read(folder: Path) -> Built:
    """Raises ModelFormatError where `folder` holds no artifact that can be read."""
    folder = folder.absolute()
    if _is_absent(folder / atomic_output.MARKER):
        raise ModelFormatError(
            f"{folder} is not an artifact: it has no {atomic_output.MARKER}. Name the folder that "
            "a build made."
        )
    try:
        report = read_json(folder / atomic_output.MARKER)
        built = Built(
            folder=folder / "function",
            home=folder,
            target=str(report["target"]["name"]),
            architecture=report["target"]["architecture"],
            memory_mb=int(report["memory_mb"]),
            packager=str(report.get("packager", "of an unknown version")),
            interface=int(report.get("interface", 1)),
        )
    except ModelFormatError as error:
        raise ModelFormatError(f"{folder} is not an artifact: {error}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelFormatError(
            f"{folder} is not an artifact: {error!r}. Name the folder that a build made."
        ) from error
    if built.folder.is_symlink():
        raise ModelFormatError(
            f"{folder} is not an artifact: its function is a link, which could lead to any folder "
            "of yours. Copy the whole folder of the artifact."
        )
    return built


def _is_absent(path: Path) -> bool:
    """Tell whether it is known that there is no such file."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def check_interface(built: Built) -> None:
    """Raises ModelFormatError where this packager cannot call the function's own modules."""
    if built.interface == INTERFACE:
        return
    age = "an older" if built.interface < INTERFACE else "a newer"
    raise ModelFormatError(
        f"{built.home} was built by {age} packager ({built.packager}), and `packager serve` cannot "
        "use the modules in it. Build it again with this one, or add --as-deployed: then the "
        "artifact's own entry point answers."
    )


def is_artifact(folder: Path) -> bool:
    """Tell whether a build made `folder`; one that cannot be looked at is nothing that it made."""
    try:
        return (folder / atomic_output.MARKER).is_file()
    except OSError:
        return False


def read_manifest(function: Path) -> Manifest:
    """Read a function's manifest. Raises ModelFormatError where there is none that can be read.

    Whoever changed an artifact could have it name any file of this machine as its example, or any
    program as its Python.
    """
    try:
        read_json(function / FILENAME)
        found = Manifest.read(function)
        problem = _find_problem(function, found)
    except ModelFormatError as error:
        raise ModelFormatError(f"{function.parent} is not an artifact: {error}") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelFormatError(
            f"{function.parent} is not an artifact: {error}. Name the folder that a build made."
        ) from error
    if problem:
        raise ModelFormatError(
            f"{function.parent} is not an artifact as it was built: {problem}. Build it again."
        )
    return found


def read_example(function: Path) -> bytes | None:
    """Read the request that was saved with a model; None where there is none.

    Raises ModelFormatError as `read_manifest` does, and where the file cannot be read.
    """
    name = read_manifest(function).example
    if name is None:
        return None
    try:
        return (function / name).read_bytes()
    except OSError as error:
        raise ModelFormatError(
            f"{function / name} cannot be read: {error.strerror}. Build the artifact again."
        ) from error


def _find_problem(function: Path, manifest: Manifest) -> str:
    """Raises TypeError for a value of another type than a build writes."""
    if manifest.example is not None and find_inside(function, manifest.example) is None:
        return f"its example {manifest.example!r} is no file in it"
    if not _MINOR.fullmatch(manifest.python):
        return f"{manifest.python!r} is no version of Python"
    return ""
