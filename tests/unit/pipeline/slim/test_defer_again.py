"""A function whose imports are deferred, and another version of it: the same bytecode, sooner."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.pipeline.slim import defer
from packager.pipeline.slim.tracing import side_effects, trace
from packager.system.file_tree import records
from packager.types import BuildPlan, Bundle, Interpreter
from tests import fake_plan

HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
CODE = {
    "handlers/aws_lambda.py": b"import pkg\ndef handler(event, context):\n    return pkg.f()\n",
    "pkg/__init__.py": b"from pkg import late\ndef f():\n    return 1\n"
    b"def g():\n    return late.VALUE\n",
    "pkg/late.py": b"VALUE = 2\n",
}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that the function is run under, as they are run."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    seen: list[str] = []
    for module in (trace, side_effects):
        run = module.run_script

        def count(folder: Path, script: Path, *rest: Any, run: Any = run, **more: Any) -> Any:
            seen.append(script.name)
            return run(folder, script, *rest, **more)

        monkeypatch.setattr(module, "run_script", count)
    return seen


def _trace(root: Path, plan: BuildPlan, weights: bytes, more: dict[str, bytes]) -> Bundle:
    extra = {**CODE, "model/model.skops": weights, **more}
    fake_plan.tree(root, plan, extra)
    return trace.PASS.apply(Bundle(root=root, files=tuple(records(root))), plan)


def _read_bytecode(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.pyc")}


@pytest.mark.slow
def test_another_version_is_traced_once_and_comes_out_the_same(
    runs: list[str], tmp_path: Path
) -> None:
    plan = fake_plan.plan(interpreter=HERE)
    first = _trace(tmp_path / "one", plan, b"weights", {})
    assert first.trace is not None, first.untraced
    runs.clear()
    one = defer.PASS.apply(first, plan)
    assert runs.count("deferred.py") == 2
    assert "1 imports moved in 1 modules" in one.ledger[-1].proof
    assert "earlier build" not in one.ledger[-1].proof
    second = _trace(tmp_path / "two", plan, b"other weights", {})
    runs.clear()

    two = defer.PASS.apply(second, plan)

    assert runs == ["trace.py"]
    assert "as found in an earlier build on the same packages" in two.ledger[-1].proof
    assert _read_bytecode(second.root) == _read_bytecode(first.root)
    assert two.trace is not None
    assert one.trace is not None
    assert two.trace.modules == one.trace.modules
    assert "pkg.late" not in two.trace.modules
    changed = replace(plan, keep=("pkg/late.py",))
    third = _trace(tmp_path / "three", changed, b"weights", {})
    runs.clear()
    assert "earlier build" not in defer.PASS.apply(third, changed).ledger[-1].proof
    assert runs.count("deferred.py") >= 1
