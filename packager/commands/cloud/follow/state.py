"""State of a follower, on disk: what runs, what is being deployed, and what failed.

It is written before and after each step, each time whole: a process that was killed is followed by
one that knows where it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, TypeVar

from packager.errors import ConfigurationError, StorageError
from packager.models.model_uri import Registered
from packager.system import atomic_output

_FORMAT: Final = 1
_STATE: Final = "follow.json"
_LOCK: Final = "follow.lock"
_MOST_BYTES: Final = 1_000_000
_Row = TypeVar("_Row", bound="Deployed | Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A version of the model, and the digest of all options that it is built and deployed by."""

    version: str
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment that ended well."""

    version: str
    settings: str
    sha256: str
    """Of what was deployed, as report.json states it."""
    at: float
    """Seconds since 1970."""

    def is_of(self, wanted: Wanted) -> bool:
        return (self.version, self.settings) == (wanted.version, wanted.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A build or a deployment that ended otherwise."""

    version: str
    settings: str
    stage: str
    kind: str
    """Name of the error's class, as --json has it."""
    exit_code: int
    message: str
    attempts: int
    retry_at: float | None
    """Seconds since 1970; None where only another version or other options are tried."""

    def is_of(self, wanted: Wanted) -> bool:
        return (self.version, self.settings) == (wanted.version, wanted.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that a follower knows of its model."""

    deployed: Deployed | None = None
    previous: Deployed | None = None
    """The one before: its artifact is kept, to go back to."""
    deploying: str | None = None
    """Version whose deployment was begun and has not ended well: a part of it may serve."""
    failed: Failed | None = None
    untagged: bool = False
    """Whether the registry has yet to be told of what was deployed."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Folder of a follower: its state, and an artifact for each version that it keeps."""

    root: Path
    model: Registered

    @contextlib.contextmanager
    def hold(self) -> Iterator[int]:
        """Keep other followers away while the block runs; yields the lock's descriptor.

        A command that is handed the descriptor keeps them away too, should this process be killed.

        Raises ConfigurationError where another one works there or the folder is something else's,
        StorageError where it cannot be written.
        """
        self._check_own()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _make_storage_error(self.root, error) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigurationError(
                    f"Another `packager follow` works in {self.root}, or a command that deploys "
                    "has outlived one that was killed. Wait until it ends (`fuser "
                    f"{self.root / _LOCK}` names it), or name another folder with --out."
                ) from error
            try:
                yield lock
            finally:  # for whoever has it too: what a command left running keeps nobody away
                fcntl.flock(lock, fcntl.LOCK_UN)
        finally:
            os.close(lock)

    def artifact(self, version: str) -> Path:
        return self.root / version

    def read(self) -> State:
        """Raises ConfigurationError for a state that is not this model's, or no state at all."""
        path = self.root / _STATE
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise _make_storage_error(path, error) from error
        try:
            told = json.loads(text)
            named = told["format"], told["model"], told["alias"]
            found = _parse_state(told)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as the state of `packager follow` ({error!r}). Move it "
                "away: the version that the alias names is then deployed again."
            ) from error
        if named != (_FORMAT, self.model.name, self.model.alias):
            raise ConfigurationError(
                f"{self.root} follows models:/{named[1]}@{named[2]} (format {named[0]}). Name "
                f"another folder for models:/{self.model.name}@{self.model.alias} with --out."
            )
        return found

    def write(self, state: State) -> None:
        """Raises StorageError where it cannot be written; what was there before stays then."""
        told = {
            "format": _FORMAT,
            "model": self.model.name,
            "alias": self.model.alias,
            **asdict(state),
        }
        replace_file(self.root / _STATE, json.dumps(told, indent=2, ensure_ascii=False) + "\n")

    def _check_own(self) -> None:
        """Raises ConfigurationError for a folder with other things than a follower's in it."""
        try:
            foreign = self.root.is_dir() and (
                any(self.root.iterdir())
                and not any((self.root / name).exists() for name in (_STATE, _LOCK))
            )
            foreign = foreign or (self.root.exists() and not self.root.is_dir())
        except OSError as error:
            raise _make_storage_error(self.root, error) from error
        if foreign:
            raise ConfigurationError(
                f"{self.root} holds something else than what `packager follow` keeps. It stays: "
                "name an empty folder with --out."
            )


def replace_file(path: Path, text: str) -> None:
    """Write a file of its owner's that nobody ever sees half written. Raises StorageError."""
    try:
        atomic_output.replace_file(path, text.encode(), 0o600)
    except OSError as error:
        raise _make_storage_error(path, error) from error


def _parse_state(told: Mapping[str, object]) -> State:
    """Raises TypeError, ValueError or KeyError for what a follower did not write."""
    deploying = told["deploying"]
    return State(
        deployed=_parse_row(Deployed, told["deployed"]),
        previous=_parse_row(Deployed, told["previous"]),
        deploying=None if deploying is None else _check_version(deploying),
        failed=_parse_row(Failed, told["failed"]),
        untagged=bool(told["untagged"]),
    )


def _parse_row(kind: type[_Row], told: object) -> _Row | None:
    if told is None:
        return None
    if not isinstance(told, dict) or told.keys() != {each.name for each in fields(kind)}:
        raise TypeError(f"{kind.__name__.lower()} has other fields")
    _check_version(told["version"])
    return kind(**told)


def _check_version(version: object) -> str:
    """A version becomes a folder's name: it is a number and nothing else."""
    if not isinstance(version, str) or not (version.isascii() and version.isdigit()):
        raise ValueError(f"{version!r} is no version")
    return version


def _make_storage_error(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be read or written: {error.strerror}. Free space or mend its rights, or "
        "name another folder with --out."
    )
