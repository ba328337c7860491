"""Build again what has not changed: the same artifact, and nothing is resolved, run or booted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build_or_reuse
from packager.system import file_tree
from packager.types import Provided, make_request
from tests import models

pytestmark = pytest.mark.slow


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command line of each program, in the order of their starts."""
    kept: list[list[str]] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, argv: list[str], *given: Any, **more: Any) -> None:
            kept.append([str(each) for each in argv])
            super().__init__(argv, *given, **more)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return kept


def _provide(out: Path, *, reuse: bool) -> Provided:
    request = make_request(
        model_uri=str(models.folder("onnx_tensor")),
        out_dir=out,
        passes=("prune",),
        rows=20,
        reuse=reuse,
    )
    return build_or_reuse(request, MlflowRegistry(None, None))


def _needs_no_start(argv: list[str]) -> bool:
    """Say if it only looks for a Python, which may have come or gone since the first build."""
    return Path(argv[0]).name == "uv" and "find" in argv


def test_a_second_build_starts_nothing_and_is_equal_by_digest(
    tmp_path: Path, started: list[list[str]]
) -> None:
    first = _provide(tmp_path / "first", reuse=False)
    programs = len(started)
    started.clear()
    second, same = (_provide(tmp_path / name, reuse=True) for name in ("second", "first"))

    assert (first.reused, programs > 10) == ("", True)
    assert second.reused == "Nothing has changed: the artifact of an earlier build is taken."
    assert "holds this artifact already" in same.reused
    assert [argv for argv in started if not _needs_no_start(argv)] == []
    digests = {file_tree.digest(file_tree.records(each.folder)) for each in (first, second)}
    assert len(digests) == 1
