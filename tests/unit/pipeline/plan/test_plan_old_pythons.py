"""Images take Pythons that platforms no longer have, and only where no later one serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from packager.errors import PlanError
from packager.types import BuildPlan, Engine, Requirements, ResolvedModel
from tests.unit.pipeline.plan import test_plan

PINS = ("mlflow==1.30.0", "numpy==1.21.6", "pandas==1.3.5", "scikit-learn==0.24.2")
SERVER = (
    *("async-timeout", "awslambdaric", "botocore", "fastapi", "httptools", "nvidia-ml-py"),
    *("opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk", "prometheus-client"),
    *("uvicorn", "uvloop"),
)
IMAGES = ("aws-lambda-image", "gpu-container")


@pytest.fixture(autouse=True)
def _index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2021: nothing of scikit-learn 0.24 has wheels for a later Python than 3.9."""
    index = test_plan._index()
    own = dict.fromkeys(PINS[1:], ("3.8", "3.9"))
    versions = {
        **index.versions,
        "mlflow": ("3.17.2", "1.30.0"),
        "numpy": ("2.5.5", "2.4.6", "1.21.6"),
        "pandas": ("3.1.1", "1.3.5"),
        "scikit-learn": ("1.9.1", "0.24.2"),
        "setuptools": ("69.0.0",),
        **dict.fromkeys(SERVER, ("99",)),
    }
    test_plan._use(monkeypatch, replace(index, versions=versions, minors=own, brings={}))
    test_plan._have(monkeypatch, "3.8", "3.9", "3.11", "3.12", "3.13")


def _old(root: Path) -> ResolvedModel:
    """A pickle without compiled code."""
    return test_plan._pickled(
        root, {"a": 1}, requirements=Requirements(lines=PINS), python_version="3.8.18"
    )


def _plan(model: ResolvedModel, target: str) -> BuildPlan:
    device = {"device": "cpu"} if target == "gpu-container" else {}
    return test_plan._plan(model, target=target, engine=Engine.NATIVE, **device)[0]


@pytest.mark.parametrize("target", IMAGES)
def test_an_image_has_the_author_s_python_where_no_later_one_has_wheels(
    target: str, tmp_path: Path
) -> None:
    found = _plan(_old(tmp_path / "m"), target)
    assert found.runtime.python_minor == "3.8"
    assert found.base_image == "docker.io/library/python:3.8-slim-bookworm"
    assert test_plan._said(found, "has had no fixes since 2024-10-31")
    assert test_plan._said(found, "log the model again under a later one")


def test_a_base_without_lambda_s_runtime_client_gets_it(tmp_path: Path) -> None:
    found = _plan(_old(tmp_path / "m"), "aws-lambda-image")
    assert "awslambdaric" in test_plan._names(found)
    assert "awslambdaric*" in found.keep


def test_lambda_s_own_base_gets_no_runtime_client(tmp_path: Path) -> None:
    found = _plan(test_plan._model(tmp_path / "m"), "aws-lambda-image")
    assert found.base_image == "public.ecr.aws/lambda/python:3.13-x86_64"
    assert "awslambdaric" not in test_plan._names(found)


@pytest.mark.parametrize("target", IMAGES)
def test_a_maintained_python_comes_before_the_author_s(target: str, tmp_path: Path) -> None:
    model = test_plan._pickled(tmp_path / "m", {"a": 1}, python_version="3.9.18")
    assert _plan(model, target).runtime.python_minor == "3.13"


def test_the_zip_s_refusal_names_the_images(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        _plan(_old(tmp_path / "m"), "aws-lambda")
    assert "--target aws-lambda-image: its Python 3.8 on Debian 12 has wheels" in str(caught.value)


@pytest.mark.parametrize("target", IMAGES)
def test_compiled_code_stays_with_a_python_that_images_alone_have(
    target: str, tmp_path: Path
) -> None:
    model = test_plan._pickled(
        tmp_path / "m", lambda rows: rows, by=cloudpickle, python_version="3.9.18"
    )
    assert _plan(model, target).runtime.python_minor == "3.9"


def test_one_version_that_does_not_go_with_the_server_changes_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # what uvicorn requires is not the author's click; scikit-learn 0.24 fails with numpy 2
    index = test_plan._index()
    versions = {
        **index.versions,
        "click": ("8.1", "7.0"),
        "mlflow": ("1.30.0",),
        "numpy": ("2.4.6", "1.24.4"),
        "scikit-learn": ("0.24.2",),
        "setuptools": ("69.0.0",),
        **dict.fromkeys(SERVER, ("99",)),
    }
    brings = {"scikit-learn": ("numpy",), "mlflow": ("click<8", "numpy<2"), "uvicorn": ("click>8",)}
    own = {"scikit-learn==0.24.2": ("3.8", "3.9")}
    changed = replace(index, versions=versions, minors=own, brings=brings, glibc={})
    test_plan._use(monkeypatch, changed)
    test_plan._have(monkeypatch, "3.8", "3.9", "3.11", "3.12", "3.13")
    lines = Requirements(lines=("scikit-learn==0.24.2", "mlflow==1.30.0"))
    model = test_plan._model(tmp_path / "m", requirements=lines, python_version="3.8.18")

    found = _plan(model, "gpu-container")

    assert found.lock.version("numpy") == "1.24.4"
    assert found.lock.version("click") == "8.1"
    assert test_plan._said(found, "click 8.1 (the author's requirements lead to 7.0).")


def test_a_library_in_an_image_has_a_maintained_python(tmp_path: Path) -> None:
    model = test_plan._known(
        tmp_path / "m", requirements=Requirements(lines=PINS), python_version="3.8.18"
    )

    found = test_plan._plan(model, target="aws-lambda-image")

    bases = {each.engine: each.base_image for each in found}
    assert bases[Engine.MACHINE_CODE] == "public.ecr.aws/lambda/python:3.13-x86_64"
    assert bases[Engine.NATIVE].startswith("docker.io/library/python:3.9-slim")
    assert found[0].engine is Engine.MACHINE_CODE
