"""The published schema of evidence.json, and what is wrong with a text by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

SCHEMA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "docs" / "evidence.schema.json").read_text(encoding="utf-8")
)


def list_wrong(evidence: Any) -> list[str]:
    """Each place that the schema does not allow, with why."""
    from jsonschema import Draft202012Validator  # two seconds, in each process that collects tests

    found = Draft202012Validator(SCHEMA).iter_errors(evidence)
    return [f"{error.json_path}: {error.message}" for error in found]
