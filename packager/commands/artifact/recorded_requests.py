"""Recorded requests of an artifact's proof, where it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from packager.commands.artifact.description import find_inside

_PLACES: Final = ("replay/replay.jsonl", "rollout/replay.jsonl")


def find_recorded(home: Path) -> Path | None:
    return next((found for name in _PLACES if (found := find_inside(home, name))), None)
