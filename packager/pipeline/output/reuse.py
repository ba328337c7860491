"""Artifacts of earlier builds, each kept whole under the digest of what it hangs on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from packager.errors import StorageError
from packager.system import atomic_output, cache

_LOG = logging.getLogger(__name__)
KIND: Final = "artifacts"
_MOST: Final = 10
"""Artifacts that are kept: those that were used last."""


def take_kept(key: str, place: atomic_output.Place, final: Path) -> str:
    """Make the kept artifact the output, or leave it where the output folder holds it already.

    Returns a sentence that says so; "" where no whole one is kept. Raises OSError where the
    output cannot be written.
    """
    if cache.is_copy(KIND, key, final):
        place.drop_output()
        return f"Nothing has changed: {final} holds this artifact already."
    if cache.copy_entry(KIND, key, place.out):
        return "Nothing has changed: the artifact of an earlier build is taken."
    return ""


def keep_artifact(key: str, folder: Path) -> None:
    """Keep a copy of a finished output folder; a cache that is full or read-only keeps none."""
    try:
        cache.keep_copy(KIND, key, folder)
        old = sorted(cache.list_entries(KIND), key=lambda entry: entry.used)
        cache.remove_entries(_list_surplus(old))
    except StorageError as error:
        _LOG.warning("The artifact is not kept for a later build: %s", error)


def _list_surplus(oldest_first: Sequence[cache.Entry]) -> Sequence[cache.Entry]:
    return oldest_first[: max(0, len(oldest_first) - _MOST)]
