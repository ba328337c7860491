"""Modules of a model that are called as something else of the artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.errors import PlanError
from packager.pipeline.plan import _names
from packager.types import Requirements, ResolvedModel
from tests import fake_plan, wheels


def _model(root: Path, *files: str, code: Any = "code", **changes: Any) -> ResolvedModel:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("", encoding="utf-8")
    flavors = {"python_function": {"loader_module": "mlflow.pyfunc.model", "code": code}}
    return fake_plan.model(root=root, flavors=flavors, **changes)


@pytest.mark.parametrize(
    ("file", "target", "clashes"),
    [
        ("code/handlers/__init__.py", "aws-lambda", True),
        ("code/handlers/one/two.py", "aws-lambda", True),
        ("code/handlers.py", "aws-lambda", True),
        ("code/handlers.cpython-312-x86_64-linux-gnu.so", "aws-lambda", True),
        ("code/handlers/__init__.py", "aws-lambda-image", True),
        ("code/handlers.py", "azure-functions", True),
        ("code/handlers.py", "gpu-container", True),
        ("code/mlflow/__init__.py", "aws-lambda", True),
        ("code/mangum/__init__.py", "aws-lambda", True),
        ("code/simdjson.py", "aws-lambda-image", True),
        ("code/aws_lambda_powertools/x.py", "aws-lambda", True),
        ("code/msgspec.py", "azure-functions", True),
        ("code/mangum.py", "azure-functions", False),
        ("code/aws/__init__.py", "aws-lambda", False),
        ("code/uvicorn.py", "gpu-container", True),
        ("code/function_app.py", "azure-functions", True),
        ("code/function_app.py", "aws-lambda", False),
        ("code/own/handlers.py", "aws-lambda", False),
        ("code/model.py", "aws-lambda", False),
        ("code/handlers/data.json", "aws-lambda", False),
        ("code/handlers.json", "aws-lambda", False),
        ("artifacts/handlers.py", "aws-lambda", False),
    ],
)
def test_the_artifact_s_own_names_are_taken(
    file: str, target: str, tmp_path: Path, *, clashes: bool
) -> None:
    found = _names.find_clashes(_model(tmp_path, file), targets.load(target))
    assert bool(found) is clashes
    if clashes:
        with pytest.raises(PlanError, match="Rename them"):
            _names.refuse_clashes(found)


@pytest.mark.parametrize("code", [["code", "more"], "more"])
def test_every_folder_of_code_is_looked_at(code: object, tmp_path: Path) -> None:
    model = _model(tmp_path, "more/handlers.py", "code/own.py", code=code)
    assert _names.find_clashes(model, fake_plan.TARGET) == (
        "more/handlers.py is imported as `handlers`, which is the artifact's own",
    )


@pytest.mark.parametrize("code", [None, "../elsewhere", "gone"])
def test_a_folder_that_is_not_there_has_no_modules(code: object, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "handlers").mkdir(parents=True)
    assert _names.find_clashes(_model(tmp_path / "m", code=code), fake_plan.TARGET) == ()


@pytest.mark.parametrize("name", ["handlers", "model", "mlflow", "own"])
def test_a_wheel_in_the_model_is_looked_into(name: str, tmp_path: Path) -> None:
    path = wheels.make(tmp_path / "code", "dist", {f"{name}/__init__.py": ""})
    line = path.relative_to(tmp_path).as_posix()
    model = _model(tmp_path, requirements=Requirements(lines=(line,)))
    found = _names.find_clashes(model, fake_plan.TARGET)
    assert bool(found) is (name != "own")


def test_a_wheel_may_be_one_that_the_handlers_import(tmp_path: Path) -> None:
    path = wheels.make(tmp_path / "code", "msgspec", {"msgspec/__init__.py": ""})
    line = path.relative_to(tmp_path).as_posix()
    model = _model(tmp_path, requirements=Requirements(lines=(line,)))
    assert _names.find_clashes(model, fake_plan.TARGET) == ()


def test_a_name_of_python_s_own_is_said(tmp_path: Path) -> None:
    assert _names.explain_shadows(_model(tmp_path / "a", "code/own.py")) == ()
    (line,) = _names.explain_shadows(_model(tmp_path / "b", "code/queue.py"))
    assert line.startswith("code/queue.py: Python has a module of that name.")
