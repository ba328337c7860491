"""With only what ships installed, tests that need the packager or MLflow are left out by name.

So are those that need the packager under a Python that only what ships runs on.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ALL = find_spec("mlflow") is not None
_PACKAGER = r"|packager\b" if sys.version_info < (3, 11) else ""
_NEEDS = re.compile(
    rf"^(?:from|import) (?:mlflow\b|tests\.handlers\.modelling\b{_PACKAGER})", re.MULTILINE
)

collect_ignore = (
    []
    if _ALL
    else [
        path.relative_to(_HERE).as_posix()
        for path in sorted(_HERE.rglob("test_*.py"))
        if _NEEDS.search(path.read_text(encoding="utf-8"))
    ]
)


def pytest_report_header() -> str | None:
    if not collect_ignore:
        return None
    return f"MLflow is not installed: {', '.join(collect_ignore)} need it and are left out"


@pytest.fixture(autouse=True)
def forget_metrics() -> None:
    """Powertools keeps dimensions by class: a function made by an earlier test left its own."""
    if (module := sys.modules.get("aws_lambda_powertools.metrics")) is None:
        return
    kept = module.Metrics
    for each in (kept._metrics, kept._dimensions, kept._metadata, kept._default_dimensions):
        each.clear()
