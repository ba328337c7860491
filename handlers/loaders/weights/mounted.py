"""Weights on a file system that the function mounts: used where they lie, not copied.

Whatever may hold code once it is loaded (a pickle, an archive, a graph) is read whole and held to
its sha256 before anything loads it. A file of a format that can hold none, which loaders map into
memory and read as they need it, is held to its size alone, so that a start does not read what it
never needs. PACKAGER_WEIGHTS_CHECK=full holds that to its sha256 too.
"""

from __future__ import annotations

import os
from pathlib import Path

from handlers.loaders.weights import VARIABLE, Weight, WeightsError
from handlers.loaders.weights.download import hash_file

CHECK = "PACKAGER_WEIGHTS_CHECK"
_MAPPED = (".safetensors",)


def find_all(weights: tuple[Weight, ...], folder: Path) -> dict[str, Path]:
    """Find each by its sha256. Raises WeightsError where one is not there, or is another."""
    if not folder.is_dir():
        msg = (
            f"{VARIABLE} is {str(folder)!r}, and no file system is mounted there. Deploy with "
            "WeightsAccessPointArn (on Azure weightsAccountName and weightsShareName), or set it "
            "to the path at which one is mounted."
        )
        raise WeightsError(msg)
    return {weight.sha256: _check_file(weight, folder / weight.sha256) for weight in weights}


def _check_file(weight: Weight, path: Path) -> Path:
    try:
        size = path.stat().st_size
        whole = os.environ.get(CHECK) == "full" or not weight.path.endswith(_MAPPED)
        found = hash_file(path) if whole and size == weight.size_bytes else weight.sha256
    except OSError as error:
        msg = (
            f"{path} ({weight.path}) cannot be read: {error.strerror}. Copy the files of the "
            "artifact's weights/ there, and let the function's user read them."
        )
        raise WeightsError(msg) from error
    if size != weight.size_bytes:
        msg = (
            f"{path} has {size:,} bytes, and {weight.path} has {weight.size_bytes:,}: it was cut "
            "short, or is another file. Copy the artifact's own weights/ there."
        )
        raise WeightsError(msg)
    if found != weight.sha256:
        msg = (
            f"{path} has sha256 {found}, and this function was proven with {weight.sha256} "
            f"({weight.path}). It was not used. Copy the artifact's own weights/ there."
        )
        raise WeightsError(msg)
    return path
