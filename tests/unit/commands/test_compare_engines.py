"""What `packager inspect` says of engines: which can be tried, and what a build measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.commands import engine_comparison
from packager.errors import VerificationError
from packager.types import Artifact, BuildReport, BuildRequest, Check, Engine, Finding
from tests import fake_plan

CANDIDATES = [
    {"refused": "3 rows differ"},
    {"rows": 11_000, "max_rel_error": 1e-9, "taken": True},
    {"skipped": "proven"},
]


def test_a_model_without_a_compiler_says_why() -> None:
    model = fake_plan.model()
    pyfunc = {**model.pyfunc, "loader_module": "mlflow.sklearn"}
    model = replace(model, flavors={**model.flavors, "python_function": pyfunc})
    native = {"engine": "native", "applies": "yes", "why": ""}
    assert engine_comparison.applying(model) == [
        {"engine": "machine-code", "applies": "if proven", "why": ""},
        {"engine": "onnx", "applies": "if proven", "why": ""},
        native,
    ]
    assert engine_comparison.applying(replace(model, signature=None)) == [
        {"engine": "machine-code", "applies": "no", "why": "the model has no signature"},
        {"engine": "onnx", "applies": "no", "why": "the model has no signature"},
        native,
    ]


def test_each_engine_is_built_and_a_refusal_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs: list[Path] = []

    def build(request: BuildRequest, _registry: Any) -> BuildReport:
        outs.append(request.output.folder)
        if request.engine.kind is Engine.NATIVE:
            raise VerificationError([Finding(check=Check.BUDGET, message="300 MB.", hint="Less.")])
        verified = fake_plan.verified(tmp_path)
        return BuildReport(
            plan=fake_plan.plan(engine=Engine.ONNX),
            bundle=verified.bundle,
            evidence=replace(verified.evidence, engine={"candidates": CANDIDATES}),
            artifact=Artifact(
                path=tmp_path / "a.zip",
                folder=tmp_path,
                sha256="0" * 64,
                size_bytes=20,
                unzipped_bytes=70,
            ),
            emitted=(),
        )

    monkeypatch.setattr(engine_comparison, "build", build)
    library, compiled, native = engine_comparison.compare_engines(fake_plan.request(), None)  # type: ignore[arg-type]
    assert library["applies"] == "yes"
    assert compiled["engine"] == "onnx"
    assert (compiled["unzipped_bytes"], compiled["zipped_bytes"]) == (70, 20)
    assert compiled["max_rel_error"] == pytest.approx(1e-9)
    assert compiled["rows_compared"] == fake_plan.EVIDENCE.replay.rows_compared + 11_000
    assert native["applies"] == "no"
    assert "300 MB" in native["why"]
    assert not any(out.exists() for out in outs)
