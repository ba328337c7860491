"""Models compiled, proven, packaged, booted and asked; and what falls back to its framework."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packager.commands import console, engine_comparison
from packager.commands.inspect import inspect_model
from packager.commands.targets.workload import Workload
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build, plan_build
from packager.types import BuildReport, BuildRequest, Engine, make_request
from tests import models

pytestmark = pytest.mark.slow

COMPILED = (
    "sklearn_columns",
    # minutes each; how these become a graph is what tests/engines asks
    pytest.param("sklearn_boosting", marks=pytest.mark.rare),
    pytest.param("xgboost_classifier", marks=pytest.mark.rare),
)
"""lightgbm_booster is compiled by the test after it."""


def built(name: str, out: Path, **options: Any) -> BuildReport:
    request = make_request(model_uri=str(models.folder(name)), out_dir=out, **options)
    return build(request, MlflowRegistry(None, None))


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_model_is_proven_and_booted(name: str, tmp_path: Path) -> None:
    report = built(name, tmp_path / "out", engine=Engine.ONNX)
    evidence = report.evidence
    assert report.plan.engine is Engine.ONNX
    assert evidence.proven
    assert evidence.replay.mismatches == 0
    assert evidence.replay.rows_compared >= 1000
    (taken,) = [each for each in evidence.engine["candidates"] if each.get("taken")]
    assert taken["rows"] >= 11_000
    assert "refused" not in taken
    assert evidence.engine["versions"]["onnxruntime"] == report.plan.lock.version("onnxruntime")
    shipped = {path.name for path in report.artifact.folder.iterdir()}
    assert shipped.isdisjoint({"sklearn", "scipy", "pandas", "xgboost", "lightgbm", "onnx"})
    assert [path.name for path in (report.artifact.folder / "model").glob("model*")] == [
        "model.onnx"
    ]


@pytest.mark.rare
def test_inspect_builds_with_each_engine_and_measures_the_same_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The graph's artifact is that of a build before it, byte for byte."""
    first = built("lightgbm_booster", tmp_path / "one", engine=Engine.ONNX, rows=100)
    reports: list[BuildReport] = []

    def noted(request: BuildRequest, registry: MlflowRegistry) -> BuildReport:
        reports.append(build(request, registry))
        return reports[-1]

    monkeypatch.setattr(engine_comparison, "build", noted)
    folder = models.folder("lightgbm_booster")
    request = make_request(model_uri=str(folder), out_dir=tmp_path / "none", rows=100)
    found = inspect_model(request, MlflowRegistry(None, None), Workload(), engines=True)
    library, compiled, native = found["engines"]
    named = [each["engine"] for each in (library, compiled, native)]
    assert named == ["machine-code", "onnx", "native"]
    assert {each["applies"] for each in (compiled, native)} == {"yes"}
    assert reports[1].artifact.sha256 == first.artifact.sha256
    assert compiled["unzipped_bytes"] == first.artifact.unzipped_bytes
    assert compiled["rows_compared"] > 11_000 > native["rows_compared"] >= 100
    assert compiled["max_rel_error"] <= 1e-5
    assert native["max_abs_error"] == native["max_rel_error"] == 0.0
    for each in (compiled, native):
        assert (each["start_cpu_ms"] or 0) > 0
        assert (each["peak_rss_bytes"] or 0) > 20e6
        assert (each["warm_invoke_ms"] or 0) > 0
    assert not (tmp_path / "none").exists()
    console.show_inspection(found)
    assert "inspect --engines builds with each" not in capsys.readouterr().out


@pytest.mark.rare
def test_a_model_that_no_graph_stands_for_runs_in_its_framework(tmp_path: Path) -> None:
    report = built("catboost_categories", tmp_path / "out", engine=None)
    assert report.plan.engine is Engine.NATIVE
    assert report.evidence.proven
    assert report.evidence.replay.max_abs_error == 0.0
    (tried,) = report.evidence.tried[:1]
    assert tried.startswith("machine-code: ")
    assert "CatBoost over categories" in tried
    evidence = json.loads((tmp_path / "out" / "evidence.json").read_text())
    assert evidence["evidence"]["tried"] == list(report.evidence.tried)


def test_a_build_that_names_no_engine_ships_a_library_that_is_equal_to_the_last_bit(
    tmp_path: Path,
) -> None:
    report = built("lightgbm_booster", tmp_path / "out", rows=100)
    assert report.plan.engine is Engine.MACHINE_CODE
    assert report.evidence.proven
    assert report.evidence.replay.max_abs_error == 0.0
    (taken,) = report.evidence.engine["candidates"]
    assert taken["exact"]
    assert taken["rows"] >= 10_000
    assert {each.name for each in report.plan.lock.packages}.isdisjoint({"lightgbm", "numpy"})
    assert report.artifact.unzipped_bytes < 4_000_000


def test_a_build_that_names_no_engine_stays_with_a_framework_that_sums(tmp_path: Path) -> None:
    with plan_build(
        make_request(str(models.folder("sklearn_columns")), out_dir=tmp_path / "out"),
        MlflowRegistry(None, None),
    ) as (_, attempts, _):
        assert {each.engine for each in attempts} == {Engine.NATIVE}
        assert any("LogisticRegression" in reason for reason in attempts[0].reasons)
