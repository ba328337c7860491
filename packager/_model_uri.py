"""What a model URI names, and the copy of a local model folder."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from packager.errors import (
    ConfigurationError,
    ModelFormatError,
    RegistryUnavailableError,
    StorageError,
)

FORMS: Final = (
    "models:/name/version, models:/name@alias, models:/name/latest, models:/m-<model id>, "
    "runs:/<run id>/path, a folder, or an artifact store's address such as s3://bucket/path"
)
# `m-` and a UUID's hex digits: mlflow/entities/logged_model.py
_LOGGED: Final = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registered model; all of version, alias and stage None means that none was named."""

    name: str
    version: str | None = None
    alias: str | None = None
    stage: str | None = None
    latest: bool = False


@dataclass(frozen=True, slots=True)
class Logged:
    model_id: str


@dataclass(frozen=True, slots=True)
class OfRun:
    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact store's own address."""

    uri: str


def parse(uri: str) -> Registered | Logged | OfRun | Folder | Stored:
    """Raises ConfigurationError for what has the scheme but not the form."""
    scheme, _, rest = uri.partition(":")
    if scheme == "models":
        return _model(uri, rest.strip("/"))
    if scheme == "runs":
        run_id, _, path = rest.strip("/").partition("/")
        if not run_id or not path:
            raise _malformed(uri, "a run's model needs the run's id and the model's path")
        return OfRun(run_id, path)
    folder = local_path(uri)
    return Stored(uri) if folder is None else Folder(folder)


def local_path(uri: str) -> Path | None:
    """The folder that a plain path or a file: address names, else None."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    # a letter and a colon is a drive, not a scheme
    return Path(uri) if len(parts.scheme) < 2 else None


def _model(uri: str, rest: str) -> Registered | Logged:
    name, slash, suffix = rest.partition("/")
    if not name or (slash and not suffix) or "/" in suffix:
        raise _malformed(uri, "a registered model has a name and one version, alias or `latest`")
    if slash:
        if suffix.isdigit():
            return Registered(name=name, version=suffix)
        if suffix.lower() == "latest":
            return Registered(name=name, latest=True)
        return Registered(name=name, stage=suffix)
    if "@" in name:
        name, _, alias = name.rpartition("@")
        if not name or not alias:
            raise _malformed(uri, "a name and an alias stand on the two sides of the @")
        return Registered(name=name, alias=alias)
    return Logged(name) if _LOGGED.fullmatch(name) else Registered(name=name)


def _malformed(uri: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{uri!r} is not a model's address: {why}.\nUse {FORMS}.")


def copy_folder(source: Path, into: Path) -> None:
    """Copy a model folder file by file; nothing outside it is read, nothing in it is written.

    Raises ModelFormatError for a link that leads out of the folder (all are named) or for what is
    neither file nor folder, RegistryUnavailableError where it cannot be read, StorageError where
    `into` cannot be written.
    """
    try:
        root = source.resolve()
        found = tuple(_files(root, root))
        stray = [str(path.relative_to(root)) for path in found if not _is_ours(path, root)]
    except OSError as error:
        raise RegistryUnavailableError(f"{source} cannot be read: {error.strerror}.") from error
    if stray:
        raise ModelFormatError(
            f"{source} holds links that lead out of it, or what is no file: "
            f"{', '.join(sorted(stray))}.\nReplace them by the files that they stand for."
        )
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_or_source(error, source, into) from error
    for path in found:
        target = into / path.relative_to(root)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        except OSError as error:
            raise storage_or_source(error, path, into) from error


def storage_or_source(
    error: OSError, path: Path, into: Path
) -> StorageError | RegistryUnavailableError:
    """Whose fault a failed copy was: our disk's, or the source's."""
    named = str(error.filename or "")
    if error.errno in {errno.ENOSPC, errno.EDQUOT} or named.startswith(str(into)):
        return StorageError(
            f"{path.name} cannot be written to {into}: {error.strerror}.\n"
            "Free some space, or set TMPDIR to a folder on a larger disk."
        )
    return RegistryUnavailableError(f"{path} cannot be read: {error.strerror}.")


def _files(folder: Path, root: Path) -> Iterator[Path]:
    """Each entry that is no folder; a link to a folder is an entry, and is not entered."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, root)
        else:
            yield path


def _is_ours(path: Path, root: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(root)
