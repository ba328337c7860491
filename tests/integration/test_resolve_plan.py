"""Logged models through resolve and plan, with the real resolver and the real index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from packager import targets
from packager.environments.interpreters import find
from packager.errors import InterpreterNotFoundError
from packager.models.registry import MlflowRegistry
from packager.pipeline.plan import check, plan
from packager.pipeline.resolve import resolve
from packager.types import Architecture, BuildPlan, Engine, Frame, Tier, make_request
from tests import models


def _has(minor: str) -> bool:
    try:
        find(minor)
    except InterpreterNotFoundError:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _has("3.13"), reason="the models were pickled under Python 3.13"),
]


# one of each way in which a plan can differ: format, flavor, MLflow's major version
NAMES = (
    "lightgbm_booster",
    "onnx_columns",
    "pyfunc_code",
    "pyfunc_pickle",
    "sklearn_code_paths",
    "sklearn_mlflow2",
    "sklearn_pickle",
    "xgboost_mlflow2",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_logged_model_has_attempts(name: str, tmp_path: Path) -> None:
    request = make_request(
        model_uri=str(models.folder(name)), out_dir=tmp_path / "out", engine=Engine.NATIVE
    )
    model = resolve(request, MlflowRegistry(), tmp_path)
    found = plan(request, model, check(request))
    assert found[-1].tier is Tier.SKINNY
    pins = dict(line.split("==") for line in model.requirements.lines if "==" in line)
    for each in found:
        assert each.runtime.glibc == (2, 34)
        assert each.lock.version("numpy") == pins.get("numpy", each.lock.version("numpy"))
        assert (each.lock.version("pandas") is None) == (each.frame is Frame.NUMPY)
        assert (each.lock.version("mlflow-skinny") is None) == (each.tier is not Tier.SKINNY)
        assert each.lock.version("mlflow") is None
        assert str(tmp_path) not in each.lock.text
        assert all(package.size_bytes for package in each.lock.packages)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("sklearn_skops", "x86_64"),
        # those for x86_64 are installed by the tests that build
        *((name, "arm64") for name in ("sklearn_skops", "xgboost_booster", "onnx_tensor")),
    ],
)
def test_both_architectures_have_wheels(
    name: str, architecture: Architecture, tmp_path: Path
) -> None:
    request = make_request(
        model_uri=str(models.folder(name)), out_dir=tmp_path / "out", architecture=architecture
    )
    model = resolve(request, MlflowRegistry(), tmp_path)
    found = plan(request, model, check(request))
    other = {"x86_64": "aarch64", "arm64": "x86_64"}[architecture]
    assert all(f"_{other}.whl" not in each.lock.text for each in found)
    again = plan(request, model, check(request))
    assert [_without_index(each) for each in again] == [_without_index(each) for each in found]


def _without_index(each: BuildPlan) -> BuildPlan:
    """The plan without what the index says of the moment: a release may be published meanwhile."""
    packages = tuple(
        replace(package, version="", size_bytes=None) for package in each.lock.packages
    )
    return replace(each, lock=replace(each.lock, text="", packages=packages))


def test_the_target_s_own_requirements_are_locked(tmp_path: Path) -> None:
    request = make_request(model_uri=str(models.folder("onnx_tensor")), out_dir=tmp_path / "out")
    found = plan(request, resolve(request, MlflowRegistry(), tmp_path), check(request))[0]
    for requirement in targets.load("aws-lambda").program.requires:
        assert found.lock.version(requirement.partition(">")[0]) is not None
