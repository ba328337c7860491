"""Weights that lie outside of the function: found, checked and put in the model's place at start.

The manifest lists them by path in the model's folder, sha256 and size; each is called by its sha256
where it lies. PACKAGER_WEIGHTS says where that is:

    s3://BUCKET/PREFIX     fetched to /tmp in ranges, several at once
    /mnt/weights           a folder of a mounted file system, used where it lies

Nothing of this is imported where the manifest lists none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from handlers.manifest import Manifest

VARIABLE = "PACKAGER_WEIGHTS"
_FOLDER = "packager-weights"
_MB = 1_000_000
_COPIED_BYTES = 1 << 20
"""A larger file that is no weight is linked to: /tmp has room for small ones."""
_HELD: list[int] = []
"""Locks on this process's own folders: they go when it ends, and tell others that it has."""


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
    if address.startswith(("s3://", "/")):
        _make_own_folder(own)
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
    try:
        _make_model_folder(model)
        _merge(source, model, {weight.path: found[weight.sha256] for weight in weights})
    except OSError as error:
        msg = (
            f"The model's folder {model} could not be made: {error.strerror}. Deploy with a larger "
            "EphemeralStorageMb if /tmp is full, and set TMPDIR if it cannot be written."
        )
        raise WeightsError(msg) from error
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
    """Say how many there are, and how large: files with the same content lie there once."""
    sizes = {weight.sha256: weight.size_bytes for weight in weights}
    return f"{len(sizes)} file{'s' * (len(sizes) > 1)}, {sum(sizes.values()) / _MB:,.1f} MB"


def _explain_address(address: str, weights: tuple[Weight, ...]) -> str:
    told = f"{VARIABLE} is {address!r}" if address else f"{VARIABLE} is not set"
    return (
        f"{told}, and this function's weights ({describe(weights)}) lie outside of it. Set it to "
        "s3://BUCKET/PREFIX, where `packager push-weights` put them, or to the path of a mounted "
        "file system that has them."
    )


def _make_own_folder(own: Path) -> None:
    """Make the folder of all weights, which nobody else may write. Raises WeightsError."""
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = own.lstat()
    except OSError as error:
        msg = f"{own} could not be made: {error.strerror}. Set TMPDIR to one that can be written."
        raise WeightsError(msg) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        msg = (
            f"{own} is a link, is another user's, or can be written by others, so what lies there "
            "may not be what was checked. It was not used. Remove it, or set TMPDIR to a folder of "
            "this user's own."
        )
        raise WeightsError(msg)


def _make_model_folder(model: Path) -> None:
    """Make it empty, and remove those of processes that have ended. Raises OSError."""
    with (model.parent / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in model.parent.glob("model-*"):
            if other.is_symlink():
                other.unlink()
            elif other == model or not _is_held(other):
                shutil.rmtree(other)
        model.mkdir(mode=0o700)
        held = os.open(model, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
        _HELD.append(held)


def _is_held(folder: Path) -> bool:
    """Tell whether the process that made it still runs."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _merge(source: Path, model: Path, weights: dict[str, Path]) -> None:
    """Make the model's folder as it was registered: small files beside the weights.

    Folders without weights are linked to; a folder that has some is made, and its small files are
    copied.
    """
    holding = {PurePosixPath(), *(p for path in weights for p in PurePosixPath(path).parents)}
    for relative in sorted(holding, key=lambda each: len(each.parts)):
        (model / relative).mkdir(parents=True, exist_ok=True)
        there = source / relative
        for entry in sorted(os.scandir(there), key=_name) if there.is_dir() else ():
            place = model / relative / entry.name
            if not entry.is_dir() and entry.stat().st_size <= _COPIED_BYTES:
                shutil.copyfile(entry.path, place)
            elif not entry.is_dir() or relative / entry.name not in holding:
                place.symlink_to(entry.path)
    _link_weights(model, weights)


def _link_weights(model: Path, weights: dict[str, Path]) -> None:
    for path, file in weights.items():
        try:
            os.link(file, model / path)
        except OSError:  # of another file system
            (model / path).symlink_to(file)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
