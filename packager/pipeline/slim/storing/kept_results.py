"""Results of passes, kept by all that they hang on: another version of a model has the same.

A key has the digest of each file of the tree, without the weights and what else tells of a version
alone; who looks into one of these adds what was found there. It has this program's own digest too.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from handlers.manifest import FILENAME
from handlers.observability import sketches
from packager.pipeline.slim.stage import MODEL
from packager.system import cache, sandbox
from packager.types import BuildPlan, Bundle, Json

_STORES: Final = "stores"
_STORE: Final = "store"
_ABOUT: Final = "about.json"
_OF_VERSION: Final = frozenset({FILENAME, sketches.FILENAME})
"""Files at the top that tell of a version: other figures and names, no other code."""


def make_key(name: str, bundle: Bundle, plan: BuildPlan, found: object) -> str:
    """Return a key of the tree, of this program and its machine, and of how a pass goes about it.

    `found` is whatever else it hangs on, as JSON can hold it.
    """
    target = plan.target
    setting = [
        *(name, cache.digest_program(), [*os.uname()[2:], *platform.libc_ver()]),
        *(sandbox.weak_level(), str(plan.interpreter.path), plan.interpreter.version),
        *(target.name, [each.as_posix() for each in target.tree.library_path]),
        *(plan.request.target.architecture, plan.request.slimming.optimize),
        *(sorted(plan.passes), sorted(plan.keep)),
    ]
    files = [(file.path.as_posix(), _digest_code(file.path, file.sha256)) for file in bundle.files]
    return cache.make_key([setting, sorted(files), found])


def recall_store(key: str, place: Path, beside: Path) -> Mapping[str, Json] | None:
    """Put the store that was kept under this key at `place`; return what is known of it, or None.

    It is copied into the folder `beside` first, each byte compared with its digest. Raises OSError
    where one of them cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=beside) as name:
        folder = Path(name)
        if not cache.copy_entry(_STORES, key, folder):
            return None
        (folder / _STORE).replace(place)
        about: Mapping[str, Json] = json.loads((folder / _ABOUT).read_bytes())
        return about


def keep_store(key: str, place: Path, about: Mapping[str, Json]) -> None:
    """Keep the store that lies at `place`, and what is known of it. Raises StorageError."""

    def make(folder: Path) -> None:
        shutil.copyfile(place, folder / _STORE)
        (folder / _ABOUT).write_text(json.dumps(about, sort_keys=True), encoding="utf-8")

    cache.ensure(_STORES, key, make)


def _digest_code(path: PurePosixPath, digest: str) -> str:
    """Return a file's digest; "" for one that another version of a model has another of."""
    is_code = path.suffix == ".py" or ".so" in path.name
    of_version = str(path) in _OF_VERSION or (path.parts[0] == MODEL and not is_code)
    return "" if of_version else digest
