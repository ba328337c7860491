"""An artifact's folder as a build left it: how it is known, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

from handlers.manifest import Manifest
from packager import _output
from packager.errors import ModelFormatError


def is_artifact(folder: Path) -> bool:
    return (folder / _output.MARKER).is_file()


def read_manifest(function: Path) -> Manifest:
    """Read a function's manifest. Raises ModelFormatError where there is none that can be read."""
    try:
        return Manifest.read(function)
    except (OSError, ValueError, TypeError) as error:
        raise ModelFormatError(
            f"{function.parent} is not an artifact: {error}. Name the folder that a build made."
        ) from error
