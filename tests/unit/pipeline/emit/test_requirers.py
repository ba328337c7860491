"""evidence.json says by which distribution each other is required."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from packager.commands.artifact.supply_chain.requirers import explain_shipped
from packager.types import REQUIRED_BESIDE, Architecture
from tests import fake_plan

METADATA = {
    "Scikit_Learn": (
        "Requires-Dist: joblib>=1.3\nRequires-Dist: scipy\nRequires-Dist: narwhals; "
        "python_version < '3.4'\nRequires-Dist: pytest; extra == 'tests'\nRequires-Dist: a b\n"
    ),
    "shap": "Requires-Dist: Scipy (>1)\nRequires-Dist: scipy; sys_platform == 'linux'\n",
    "scipy": "Requires-Dist: pywin32; sys_platform == 'win32'\n",
}


def _make_tree(root: Path) -> Path:
    for name, lines in METADATA.items():
        info = root / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n{lines}", encoding="utf-8")
    return root


@pytest.mark.parametrize("here", ["x86_64", "aarch64", "arm64"])
@pytest.mark.parametrize(("architecture", "required"), [("x86_64", "mkl"), ("arm64", "openblas")])
def test_markers_are_read_for_the_machine_that_runs_the_function(
    architecture: Architecture,
    required: str,
    here: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: here)
    info = tmp_path / "numpy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Name: numpy\nVersion: 1.0\n"
        "Requires-Dist: mkl; platform_machine == 'x86_64'\n"
        "Requires-Dist: openblas; platform_machine == 'aarch64'\n",
        encoding="utf-8",
    )
    plan = fake_plan.plan(
        request=fake_plan.request(architecture=architecture),
        kept_for=dict.fromkeys(("mkl", "openblas"), REQUIRED_BESIDE),
    )

    others = {"mkl": REQUIRED_BESIDE, "openblas": REQUIRED_BESIDE}
    assert explain_shipped(tmp_path, plan) == {**others, required: "numpy requires it"}


def test_a_distribution_is_told_by_what_it_is_required(tmp_path: Path) -> None:
    others = dict.fromkeys(("joblib", "scipy", "narwhals", "pytest", "pywin32"), REQUIRED_BESIDE)
    plan = fake_plan.plan(kept_for={"scikit-learn": "the model's loader needs it", **others})

    assert explain_shipped(_make_tree(tmp_path), plan) == {
        "joblib": "scikit-learn requires it",
        "narwhals": REQUIRED_BESIDE,
        "pytest": REQUIRED_BESIDE,
        "pywin32": REQUIRED_BESIDE,
        "scikit-learn": "the model's loader needs it",
        "scipy": "scikit-learn, shap require it",
    }
