"""Weights that lie outside of the function: found, checked and put in the model's place at start.

The manifest lists them by path in the model's folder, sha256 and size; each is called by its sha256
where it lies. PACKAGER_WEIGHTS says where that is:

    s3://BUCKET/PREFIX     fetched to /tmp in ranges, several at once
    /mnt/weights           a folder of a mounted file system, used where it lies

Nothing of this is imported where the manifest lists none.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from handlers.manifest import Manifest

VARIABLE = "PACKAGER_WEIGHTS"
_FOLDER = "packager-weights"
_MB = 1_000_000


class WeightsError(Exception):
    """The weights cannot be had, or are not those that the function was proven with."""


class Weight(NamedTuple):
    """A file of the model that lies outside of the function."""

    path: str
    """In the model's folder."""
    sha256: str
    size_bytes: int


def place_weights(manifest: Manifest, folder: Path) -> Manifest:
    """Return the manifest whose model lies in a folder that has the weights too.

    Raises WeightsError where one cannot be had, or is another than the manifest lists.
    """
    weights = read_weights(manifest)
    address = os.environ.get(VARIABLE, "")
    own = Path(os.environ.get("TMPDIR") or "/tmp") / _FOLDER  # noqa: S108 - the platform's own
    if address.startswith("s3://"):
        from handlers.loaders.weights.download import fetch_all
        from handlers.loaders.weights.s3 import Bucket

        found = fetch_all(weights, Bucket(address), own)
    elif address.startswith("/"):
        from handlers.loaders.weights.mounted import find_all

        found = find_all(weights, Path(address))
    else:
        raise WeightsError(_explain_address(address, weights))
    source = folder / manifest.model_path
    # a process each has its own: several may share /tmp
    model = own / f"model-{manifest.digest[:16]}-{os.getpid()}"
    _merge(source, model, {weight.path: found[weight.sha256] for weight in weights})
    code = [str(source / name) for name in manifest.options.get("code", ())]
    options = {**manifest.options, **({"code": code} if code else {})}
    return replace(manifest, model_path=str(model), options=options)


def read_weights(manifest: Manifest) -> tuple[Weight, ...]:
    """Read them as the manifest lists them. Raises WeightsError for a path that leads elsewhere."""
    found = []
    for each in manifest.weights:
        weight = Weight(str(each["path"]), str(each["sha256"]), int(each["size_bytes"]))
        parts = PurePosixPath(weight.path).parts
        if not parts or weight.path.startswith("/") or ".." in parts or not _is_digest(weight):
            msg = (
                f"model-manifest.json lists {weight.path!r} among the weights, which is no file in "
                "the model's folder, or has no sha256. Build the artifact again."
            )
            raise WeightsError(msg)
        found.append(weight)
    return tuple(found)


def _is_digest(weight: Weight) -> bool:
    return len(weight.sha256) == 64 and not weight.sha256.strip("0123456789abcdef")


def describe(weights: tuple[Weight, ...]) -> str:
    """Say how many there are, and how large."""
    size = sum(weight.size_bytes for weight in weights)
    return f"{len(weights)} file{'s' * (len(weights) > 1)}, {size / _MB:,.1f} MB"


def _explain_address(address: str, weights: tuple[Weight, ...]) -> str:
    told = f"{VARIABLE} is {address!r}" if address else f"{VARIABLE} is not set"
    return (
        f"{told}, and this function's weights ({describe(weights)}) lie outside of it. Set it to "
        "s3://BUCKET/PREFIX, where `packager push-weights` put them, or to the path of a mounted "
        "file system that has them."
    )


def _merge(source: Path, model: Path, weights: dict[str, Path]) -> None:
    """Make the model's folder as it was registered: small files beside the weights.

    Folders without weights are linked to; a folder that has some is made, and its files are copied.
    """
    shutil.rmtree(model, ignore_errors=True)  # an ended process may have had the same number
    holding = {PurePosixPath(), *(p for path in weights for p in PurePosixPath(path).parents)}
    for relative in sorted(holding, key=lambda each: len(each.parts)):
        (model / relative).mkdir(parents=True, exist_ok=True)
        there = source / relative
        for entry in sorted(os.scandir(there), key=_name) if there.is_dir() else ():
            place = model / relative / entry.name
            if not entry.is_dir():
                shutil.copyfile(entry.path, place)
            elif relative / entry.name not in holding:
                place.symlink_to(entry.path)
    for path, file in weights.items():
        try:
            os.link(file, model / path)
        except OSError:  # of another file system
            (model / path).symlink_to(file)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
