"""Tiny real logged models: those kept under made/, and those that this interpreter makes."""

from __future__ import annotations

import json
from pathlib import Path

MADE = Path(__file__).parent / "made"


def names() -> tuple[str, ...]:
    """Every model kept under made/, sorted."""
    return tuple(sorted(path.parent.name for path in MADE.glob("*/MLmodel")))


def folder(name: str) -> Path:
    """The model folder as MLflow wrote it; read only: copy it before a change."""
    path = MADE / name
    if not (path / "MLmodel").is_file():
        raise KeyError(f"no model {name!r} under tests/models/made; there are: {', '.join(names())}")
    return path


def versions() -> dict[str, dict[str, str]]:
    """What each group of models was made with: interpreter and distributions."""
    return json.loads((MADE / "versions.json").read_text(encoding="utf-8"))


def make(into: Path, *wanted: str) -> Path:
    """Make models here and now, with this interpreter (a pickle of code binds to it)."""
    from tests.models.make import make as _make

    _make(into, wanted)
    return into
