"""Imports that could be deferred in an earlier build, under all that this hangs on.

That is the tree without the model's weights, and what the function was seen to load. Another
version of a model on the same packages has the same: what was found for the first need not be
sought again, only tried.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from handlers.manifest import FILENAME
from handlers.observability import sketches
from packager.pipeline.slim.import_deferral import Name
from packager.pipeline.slim.stage import MODEL
from packager.system import cache, file_tree, resources
from packager.types import BuildPlan, Bundle, Trace

_KIND: Final = "deferrals"
_OF_VERSION: Final = frozenset({FILENAME, sketches.FILENAME})
"""Files at the top that tell of a version: other figures and names, no other code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """Imports that were moved, and those that may not be."""

    moved: frozenset[Name]
    banned: frozenset[Name]
    loaded: frozenset[str] | None
    """Modules that were loaded in spite of it, when its bytecode was written."""
    why: Mapping[str, str] = field(default_factory=dict)
    """By module, why some of its imports stay."""


def make_key(bundle: Bundle, plan: BuildPlan, before: Trace) -> str:
    """Return a key of the code of the tree, of the program that defers, and of what was loaded."""
    own = [
        file_tree.digest(file for file in file_tree.records(folder) if file.path.suffix == ".py")
        for folder in (resources.WORKERS, resources.PACKAGE / "pipeline" / "slim")
    ]
    return cache.make_key(
        [
            *(own, plan.interpreter.version, plan.request.slimming.optimize, sorted(plan.keep)),
            *(plan.target.name, plan.target.program.entrypoint, plan.loader.loader),
            *(sorted(plan.request.events.sources), plan.threads, sorted(plan.variables.items())),
            sorted(
                (file.path.as_posix(), _digest_code(file.path, file.sha256))
                for file in bundle.files
            ),
            *(sorted(before.init), sorted(before.answering), sorted(before.refusing)),
            sorted((name, path.as_posix()) for name, path in before.files.items()),
            *(sorted(before.absent_modules), len(before.answers)),
        ]
    )


def recall_deferral(key: str) -> Deferral | None:
    """Return what was found under this key; None where nothing was."""
    kept = cache.recall(_KIND, key)
    if kept is None:
        return None
    found = json.loads(kept)
    return Deferral(
        moved=frozenset((module, name) for module, name in found["moved"]),
        banned=frozenset((module, name) for module, name in found["banned"]),
        loaded=None if found["loaded"] is None else frozenset(found["loaded"]),
        why=found["why"],
    )


def keep_deferral(key: str, found: Deferral) -> None:
    """Keep what was found, in place of what is no longer true."""
    text = json.dumps(
        {
            "moved": sorted(found.moved),
            "banned": sorted(found.banned),
            "loaded": None if found.loaded is None else sorted(found.loaded),
            "why": dict(found.why),
        }
    )
    cache.forget(_KIND, key)
    cache.remember(_KIND, key, text.encode)


def _digest_code(path: PurePosixPath, digest: str) -> str:
    """Return a file's digest; "" for one that another version of a model has another of."""
    of_version = str(path) in _OF_VERSION or (path.parts[0] == MODEL and path.suffix != ".py")
    return "" if of_version else digest
