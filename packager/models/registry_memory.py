"""Answers of registries in SQLite files: while the file is the same, so is the answer.

To ask it takes MLflow, whose import costs seconds. An answer is kept by the digest of the file's
bytes and of all else that it hangs on; the model's own files are copied from where they lie, and
checked, each time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from packager.errors import ModelNotFoundError, RegistryUnavailableError, StorageError
from packager.models import registry_sources, sqlite_copy
from packager.system import cache, file_tree, process
from packager.system.scratch import make_scratch

_KIND: Final = "registries"
_FORMAT: Final = 2
_ADDRESS: Final = re.compile(r"sqlite:///([^?#%:]+)")
"""A file's path and nothing else."""
_SET: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_OF_FILES: Final = "mlruns"
_DATABASE: Final = "mlflow.db"


@dataclass(frozen=True, slots=True)
class Question:
    """A model's address, asked of SQLite files of a certain content."""

    key: str
    asked: tuple[str, ...]
    """The addresses of the tracking store and of the registry."""


def identify_question(
    tracking_uri: str | None, registry_uri: str | None, model_uri: str
) -> Question | None:
    """Return the question; None where one of the addresses is another than an SQLite file's."""
    tracking = tracking_uri or os.environ.get(_SET[0]) or _find_default()
    registry = registry_uri or os.environ.get(_SET[1]) or tracking
    asked = tuple(dict.fromkeys((tracking, registry)))
    try:
        digests = [_digest_database(address) for address in asked]
    except (RegistryUnavailableError, StorageError):
        return None  # MLflow's way to it says what is wrong
    if None in digests:
        return None
    hangs_on = [
        *(
            _FORMAT,
            version("mlflow-skinny"),
            str(Path.cwd()),
            tracking,
            registry,
            model_uri,
            digests,
        ),
        sorted(process.inherit(prefixes=("MLFLOW_",)).items()),
    ]
    return Question(key=cache.make_key(hangs_on), asked=asked)


def recall_answer(question: Question) -> Mapping[str, object] | None:
    """Return the fields of what was fetched, `source` among them; None where nothing is kept.

    Nor is anything where the model no longer lies there.
    """
    kept = cache.recall(_KIND, question.key)
    if kept is None:
        return None
    answer: dict[str, Any] = json.loads(kept)
    try:
        registry_sources.check_source(answer["source"], question.asked)
    except (ModelNotFoundError, RegistryUnavailableError):
        return None
    return {**answer, "aliases": tuple(answer["aliases"]), "source": Path(answer["source"])}


def keep_answer(question: Question, answer: Mapping[str, object]) -> None:
    """Keep the fields of what was fetched; a cache that cannot be written keeps nothing."""
    text = json.dumps(answer, default=str).encode()
    try:
        cache.remember(_KIND, question.key, lambda: text)
    except StorageError:
        return


def _find_default() -> str:
    """Return the address that MLflow takes unasked; "" where it looks further than one file."""
    database = Path(_DATABASE)
    only = database.is_file() and not Path(_OF_FILES).exists()
    return f"sqlite:///{database.absolute()}" if only else ""


def _digest_database(address: str) -> str | None:
    """Digest a database's bytes as of one commit; None for another address than a file's.

    Raises RegistryUnavailableError or StorageError where it cannot be copied.
    """
    match = _ADDRESS.fullmatch(address)
    path = Path(match[1]) if match else None
    if path is None or not path.is_file():
        return None
    with make_scratch("registry") as folder:
        sqlite_copy.copy_database(path, folder / "copy.db")
        return file_tree.digest(file_tree.records(folder))
