"""What a build makes of a converter that crashes, hangs or refuses."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager import facts
from packager.engines import _onnx, _worker_call
from packager.environments import virtual_environments
from packager.errors import VerificationError
from packager.models import flavors
from packager.probes import of_rows
from packager.types import Engine
from tests import fake_plan


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands where the compiler's Python is expected; a test writes what it does."""
    path = tmp_path / "python"
    monkeypatch.setattr(virtual_environments, "of_model", lambda *_, **__: path)
    monkeypatch.setattr(_worker_call, "SECONDS", 2)
    monkeypatch.setattr(_worker_call, "ROWS", 10)
    return path


def compiled(python: Path, script: str, work: Path) -> Any:
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    return _onnx.compile_model(fake_plan.plan(engine=Engine.ONNX), work)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("kill -SEGV $$", "ended by SIGSEGV"),
        ("sleep 30", "ran past 2 seconds"),
        ("echo no memory >&2; exit 1", "no memory"),
        ('echo \'{"refused": ["double: 3 rows differ"]}\' > "$6/result.json"', "3 rows differ"),
    ],
)
def test_a_compiler_that_fails_is_a_refusal(
    script: str, why: str, python: Path, tmp_path: Path
) -> None:
    with pytest.raises(VerificationError, match=why) as caught:
        compiled(python, script, tmp_path / "work")
    (finding,) = caught.value.findings
    assert finding.check == "engine"
    assert "--engine native" in finding.hint


def test_a_graph_takes_the_model_s_place(python: Path, tmp_path: Path) -> None:
    result = {"options": {"file": "model.onnx"}, "evidence": {"seed": 0}, "adversarial": []}
    script = f'echo \'{json.dumps(result)}\' > "$6/result.json"; touch "$6/model.onnx"'
    plan = compiled(python, script, tmp_path / "work")
    assert plan.loader.options == {"file": "model.onnx"}
    assert [path.name for path in plan.compiled.folder.iterdir()] == ["model.onnx"]


def test_the_worker_is_given_its_own_modules_and_no_others(python: Path, tmp_path: Path) -> None:
    script = 'find "$PYTHONPATH/packager" -name "*.py" | sed "s|$PYTHONPATH/||" >&2; exit 1'
    with pytest.raises(VerificationError) as caught:
        compiled(python, script, tmp_path / "work")
    text = str(caught.value)
    assert "packager/engines/onnx/worker.py" in text
    assert "packager/engines/_onnx.py" not in text


def test_rows_are_asked_for_by_column_and_the_same_each_time() -> None:
    model = fake_plan.model()
    asked = _worker_call.make_question(model, 50, 0, 1e-5, 1e-6)
    assert asked == _worker_call.make_question(model, 50, 0, 1e-5, 1e-6)
    assert {name: len(values) for name, values in asked["table"].items()} == {"x": 50, "y": 50}
    assert asked["example"] == {"x": [1.5], "y": ["a"]}


def test_adversarial_rows_become_requests() -> None:
    (probe,) = of_rows([{"x": [1.0, 2.0], "y": ["a", "b"]}], fake_plan.model())
    assert probe.rows == 2
    assert json.loads(probe.body) == {
        "dataframe_split": {"columns": ["x", "y"], "data": [[1.0, "a"], [2.0, "b"]]}
    }


def test_the_extra_names_the_versions_that_a_build_compiles_with() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    pinned = facts.tools()
    assert project["project"]["optional-dependencies"]["onnx"] == [
        pinned[name].requirement for name in ("onnx", "onnxruntime", "skl2onnx")
    ]


def test_every_converter_is_pinned_and_every_family_has_a_flavor() -> None:
    named = {name for names in _onnx.CONVERTERS.values() for name in names}
    assert named <= set(facts.tools())
    assert set(_onnx.CONVERTERS) <= set(flavors.FLAVORS)


@pytest.mark.parametrize(
    ("flavor", "why"), [("xgboost", "parameters iteration_range"), ("pytorch", "takes none")]
)
def test_parameters_that_reach_the_model_are_no_graph_s(flavor: str, why: str) -> None:
    model = fake_plan.model()
    params = [{"name": "iteration_range", "type": "long", "default": 0, "shape": None}]
    signature = {**(model.signature or {}), "params": params}
    assert why in _onnx.why_not(replace(model, signature=signature), flavor)
    assert _onnx.why_not(replace(model, signature=signature), "sklearn") == ""
    assert _onnx.why_not(model, flavor) == ""


def test_a_graph_passes_through() -> None:
    plan = replace(fake_plan.plan(engine=Engine.ONNX), flavor="onnx")
    assert _onnx.compile_model(plan, Path("unused")) is plan
    assert not _onnx.why_not(plan.model, "onnx")
