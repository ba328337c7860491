"""The built wheel, installed alone in a new environment: what it needs must have come along."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from packager.environments import uv_command
from tests import models

ROOT = Path(__file__).parents[2]
CHECK = """
import json
from packager import facts
from packager.system import resources
from packager.targets import TARGETS
print(json.dumps({
    "templates": sorted(p.name for p in resources.TEMPLATES.rglob("*.j2")),
    "infra": resources.INFRA.is_dir(),
    "handlers": (resources.handlers_root() / "manifest.py").is_file(),
    "targets": sorted(TARGETS),
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [uv_command.path(), "build", "--quiet", "--wheel", "-o", folder / "dist", ROOT], check=True
    )
    subprocess.run([uv_command.path(), "venv", "--quiet", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run(
        [uv_command.path(), "pip", "install", "--quiet", "--python", python, wheel], check=True
    )
    return python


@pytest.mark.slow
def test_data_comes_along(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-c", CHECK], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)

    assert "template.yaml.j2" in found["templates"]
    assert found["infra"]
    assert found["handlers"]
    assert "aws-lambda" in found["targets"]


@pytest.mark.slow
def test_the_installed_command_plans_a_model(python: Path, tmp_path: Path) -> None:
    model = models.folder("sklearn_skops")
    done = subprocess.run(
        [python.parent / "packager", "build", model, "--dry-run", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempts"][0]["tier"] == "native"
