"""Models compiled, proven, packaged, booted and asked; and what falls back to its framework."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packager.pipeline import build
from packager.registry import MlflowRegistry
from packager.types import BuildReport, BuildRequest, Engine
from tests import models

pytestmark = pytest.mark.slow

COMPILED = ("sklearn_columns", "sklearn_boosting", "xgboost_classifier", "lightgbm_booster")


def built(name: str, out: Path, **options: Any) -> BuildReport:
    request = BuildRequest(model_uri=str(models.folder(name)), out_dir=out, **options)
    return build(request, MlflowRegistry(None, None))


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_model_is_proven_and_booted(name: str, tmp_path: Path) -> None:
    report = built(name, tmp_path / "out", engine=Engine.ONNX)
    evidence = report.evidence
    assert report.plan.engine is Engine.ONNX
    assert evidence.proven
    assert evidence.mismatches == 0
    assert evidence.rows_compared >= 1000
    (taken,) = [each for each in evidence.engine["candidates"] if each.get("taken")]
    assert taken["rows"] >= 11_000
    assert "refused" not in taken
    assert evidence.engine["versions"]["onnxruntime"] == report.plan.lock.version("onnxruntime")
    shipped = {path.name for path in report.artifact.folder.iterdir()}
    assert shipped.isdisjoint({"sklearn", "scipy", "pandas", "xgboost", "lightgbm", "onnx"})
    assert [path.name for path in (report.artifact.folder / "model").glob("model*")] == [
        "model.onnx"
    ]


def test_two_compilations_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        built("xgboost_classifier", tmp_path / name, engine=Engine.ONNX, rows=100)
        for name in ("one", "two")
    )
    assert first.artifact.sha256 == second.artifact.sha256


def test_a_model_that_no_graph_stands_for_runs_in_its_framework(tmp_path: Path) -> None:
    report = built("catboost_categories", tmp_path / "out", engine=None)
    assert report.plan.engine is Engine.NATIVE
    (tried,) = report.evidence.tried[:1]
    assert tried.startswith("onnx: ")
    assert "columns of categories" in tried or "of type" in tried
    evidence = json.loads((tmp_path / "out" / "evidence.json").read_text())
    assert evidence["evidence"]["tried"] == list(report.evidence.tried)
