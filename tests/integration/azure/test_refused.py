"""What Azure would show as an app without functions, or not run, is said by the build instead."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.errors import PackagerError, PlanError, VerificationError
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.pipeline.slim import slim
from packager.pipeline.verify import verify
from packager.system import resources
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import BuildPlan, Engine, make_request
from tests import hand_plan, models, wheels

_WHY_NOT = why_not_bootable("x86_64")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "it boots")]


def refused(model: Path, out: Path, kind: type[PackagerError], **asked: Any) -> str:
    """What the build says; nothing of it is left. Slimming is left out: it is not the question."""
    given = {"python_minor": "3.13", "passes": (), "trace": False, "rows": 20, **asked}
    request = make_request(
        model_uri=str(model),
        out_dir=out / "dist",
        target="azure-functions",
        engine=Engine.NATIVE,
        **given,
    )
    with pytest.raises(kind) as stopped:
        build(request, MlflowRegistry(None, None))
    assert not (out / "dist").exists()
    return str(stopped.value)


def unverified(plan: BuildPlan, work: Path) -> str:
    """What `verify` says of the plan's tree, which is not slimmed."""
    bundle = slim(replace(plan, passes=()), work / "tree")
    with pytest.raises(VerificationError) as stopped:
        verify(bundle, plan, work / "work")
    return str(stopped.value)


def requiring(base: Path, name: str, *lines: str) -> Path:
    """A copy of a model that lists these too."""
    folder = shutil.copytree(models.folder(name), base / "model")
    listed = folder / "requirements.txt"
    listed.write_text("\n".join([listed.read_text().rstrip(), *lines]) + "\n")
    return folder


def test_a_protobuf_that_the_older_worker_breaks_on(tmp_path: Path) -> None:
    model = requiring(tmp_path, "pyfunc_code", "protobuf==3.19.6")

    said = refused(model, tmp_path, VerificationError, python_minor="3.12")

    assert "protobuf 3.19.6 is brought" in said
    assert "google.protobuf.internal.builder" in said
    assert "Take protobuf 3.20 or later, or --python 3.13" in said


def test_a_library_that_the_system_does_not_have(tmp_path: Path) -> None:
    plan = hand_plan.plan("lightgbm_booster", flavor="lightgbm", target="azure-functions")

    said = unverified(plan, tmp_path)

    assert "libgomp.so.1 is neither in the tree nor in Debian 12; needed by lightgbm/" in said
    assert "Name a wheel that carries it" in said


@pytest.mark.parametrize("platform", ["macosx_14_0_arm64", "manylinux_2_39_x86_64"])
def test_a_wheel_of_another_system(platform: str, tmp_path: Path) -> None:
    name = f"extra-1.0-cp313-cp313-{platform}.whl"
    model = requiring(tmp_path, "pyfunc_code", f"wheels/{name}")
    made = wheels.make(model / "wheels", "extra", {"extra.py": ""})
    made.rename(made.with_name(name))

    said = refused(model, tmp_path, PlanError)

    assert f"x86_64-manylinux_2_28: the model brings {name}, which cannot be installed" in said
    assert "Bring wheels for that Python and Linux" in said


def test_a_package_that_would_be_loaded_in_the_app_s_place(tmp_path: Path) -> None:
    model = requiring(tmp_path, "pyfunc_code", "wheels/clashing-1.0-py3-none-any.whl")
    wheels.make(model / "wheels", "clashing", {"function_app.py": "app = None\n"})

    said = refused(model, tmp_path, PlanError)

    assert "is imported as `function_app`, which is the artifact's own" in said
    assert "Rename them" in said


def test_a_handler_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = shutil.copytree(resources.handlers_root(), tmp_path / "own" / "handlers")
    with (handlers / "http" / "router.py").open("a") as file:
        file.write("\nimport nope_missing\n")
    monkeypatch.setattr(resources, "handlers_root", lambda: handlers)

    plan = hand_plan.plan(
        "onnx_tensor", flavor="onnx", target="azure-functions", allow_unproven=True
    )
    # it is booted without a request
    said = unverified(
        replace(plan, model=replace(plan.model, signature=None, example=None)), tmp_path
    )

    assert "boot: The function does not start: " in said
    assert "No module named 'nope_missing'" in said
    assert "handlers/http/router.py" in said
