"""Model URIs, what they name, and the copy of a local model folder."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from packager.errors import (
    ConfigurationError,
    ModelFormatError,
    ModelNotFoundError,
    RegistryUnavailableError,
    StorageError,
    is_disk_full,
)
from packager.models.model_documents import MOST_TEXT

MOST_FILES: Final = 100_000
_SHOWN: Final = 20
_DESCRIPTIONS: Final = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
"""Files that are read whole."""

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
            raise _make_address_error(uri, "a run's model needs the run's id and the model's path")
        return OfRun(run_id, path)
    folder = local_path(uri)
    return Stored(uri) if folder is None else Folder(folder)


def local_path(uri: str) -> Path | None:
    """The folder that a plain path or a file: address names, else None.

    Raises ConfigurationError for an address that cannot be read.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:  # a host in brackets that are not closed
        raise _make_address_error(uri, str(error)) from error
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    # a letter and a colon is a drive, not a scheme
    return Path(uri) if len(parts.scheme) < 2 else None


def _model(uri: str, rest: str) -> Registered | Logged:
    name, slash, suffix = rest.partition("/")
    if not name or (slash and not suffix) or "/" in suffix:
        raise _make_address_error(
            uri, "a registered model has a name and one version, alias or `latest`"
        )
    if slash:
        if suffix.isdigit():
            return Registered(name=name, version=suffix)
        if suffix.lower() == "latest":
            return Registered(name=name, latest=True)
        return Registered(name=name, stage=suffix)
    if "@" in name:
        name, _, alias = name.rpartition("@")
        if not name or not alias:
            raise _make_address_error(uri, "a name and an alias stand on the two sides of the @")
        return Registered(name=name, alias=alias)
    return Logged(name) if _LOGGED.fullmatch(name) else Registered(name=name)


def _make_address_error(uri: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{uri!r} is not a model's address: {why}.\nUse {FORMS}.")


def copy_folder(source: Path, into: Path) -> None:
    """Copy a model folder file by file; nothing outside it is read, nothing in it is written.

    Raises ModelNotFoundError where it holds no MLmodel, before anything is walked; ModelFormatError
    for a link that leads out of the folder (all are named), for what is neither file nor folder,
    for names that are not UTF-8 and for more files than a model has; RegistryUnavailableError where
    it cannot be read, StorageError where `into` cannot be written.
    """
    try:
        root = source.resolve()
        check_model(root, str(source))
        _check_sizes(root)
        found = tuple(_files(root, str(source)))
        check_names([path.relative_to(root).as_posix() for path in found], str(source))
        stray = [str(path.relative_to(root)) for path in found if not _is_ours(path, root)]
        size = 0 if stray else sum(path.stat().st_size for path in found)
    except OSError as error:
        what = error.filename or source
        raise RegistryUnavailableError(f"{what} cannot be read: {error.strerror}.") from error
    if stray:
        raise ModelFormatError(
            f"{source} holds links that lead out of it, or entries that are not files: "
            f"{', '.join(sorted(stray))}.\nReplace them by the files that they stand for."
        )
    try:
        into.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(into).free
    except OSError as error:
        raise storage_or_source(error, source, into) from error
    if size > free:
        # a file of nothing but holes has no byte on its own disk, and all of them on ours
        raise StorageError(
            f"The model in {source} has {size:,} bytes, and {free:,} are free at {into}.\n"
            "Free some space, or set TMPDIR to a folder on a larger disk."
        )
    for path in found:
        _copy_file(path, into / path.relative_to(root), into)


def _copy_file(path: Path, target: Path, into: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    except OSError as error:
        raise storage_or_source(error, path, into) from error


def check_model(folder: Path, named: str) -> None:
    """Raises ModelNotFoundError where a folder holds no MLmodel; a huge one costs no more."""
    if (folder / "MLmodel").is_file():
        return
    with os.scandir(folder) as entries:
        inside = sorted(escape_name(entry.name) for entry in islice(entries, _SHOWN + 1))
    shown = ", ".join(inside[:_SHOWN]) + (" and more" if len(inside) > _SHOWN else "")
    raise ModelNotFoundError(
        f"{named} is not a model: it has no file MLmodel. It holds: {shown or 'nothing'}."
    )


def _check_sizes(folder: Path) -> None:
    """Raises ModelFormatError for a description too large to be read, before it is copied."""
    for name in _DESCRIPTIONS:
        path = folder / name
        if path.is_file() and path.stat().st_size > MOST_TEXT:
            raise ModelFormatError(
                f"{name} has {path.stat().st_size:,} bytes; no more than {MOST_TEXT:,} are read. "
                "Log the model again with less in it."
            )


def check_names(names: Sequence[str], named: str) -> None:
    """Raises ModelFormatError for too many files, or for names that cannot be written as UTF-8."""
    if len(names) > MOST_FILES:
        raise _make_too_many(named)
    foreign = sorted(escape_name(name) for name in names if escape_name(name) != name)
    if foreign:
        raise ModelFormatError(
            f"{named} holds files whose names are not UTF-8: {', '.join(foreign[:_SHOWN])}.\n"
            "No archive could name them: rename them, and log the model again."
        )


def _make_too_many(named: str) -> ModelFormatError:
    return ModelFormatError(
        f"{named} holds more than {MOST_FILES:,} files and folders: too many for a model. Move "
        "MLmodel and the files that belong to it into a folder of their own."
    )


def escape_name(name: str) -> str:
    """A file's name as it can be printed: bytes that are not UTF-8 as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def storage_or_source(
    error: OSError, path: Path, into: Path
) -> StorageError | RegistryUnavailableError:
    """Tell whose fault a failed copy was: our disk's, or the source's."""
    named = str(error.filename or "")
    if is_disk_full(error) or named.startswith(str(into)):
        return StorageError(
            f"{path.name} cannot be written to {into}: {error.strerror}.\n"
            "Free some space, or set TMPDIR to a folder on a larger disk."
        )
    return RegistryUnavailableError(f"{path} cannot be read: {error.strerror}.")


def _files(root: Path, named: str) -> Iterator[Path]:
    """Each entry that is no folder; a link to a folder is an entry, and is not entered.

    Raises ModelFormatError where there are more entries, folders too, than a model has.
    """
    todo, left = [root], MOST_FILES
    while todo:
        with os.scandir(todo.pop()) as entries:
            found = sorted(Path(entry.path) for entry in islice(entries, left + 1))
        left -= len(found)
        if left < 0:
            raise _make_too_many(named)
        for path in found:
            if path.is_dir() and not path.is_symlink():
                todo.append(path)
            else:
                yield path


def _is_ours(path: Path, root: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(root)
