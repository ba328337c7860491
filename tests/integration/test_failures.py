"""What stops a build for good: each with its own exit code, a clear message, and nothing left."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import models

pytestmark = pytest.mark.slow

PASSES = "libraries,prune"
"""Slimming is not what is asked about here."""
MOUNT = ["unshare", "--map-root-user", "--mount"]


def packager(*arguments: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "packager", *map(str, arguments)]
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


def test_a_full_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    build = shlex.join(
        [sys.executable, "-m", "packager", "build", str(models.folder("sklearn_skops")), "-o",
         str(small / "dist"), "--engine", "native"]
    )  # fmt: skip
    script = f"mount -t tmpfs -o size=30m tmpfs {small} && {build}; echo code $?; ls -A {small}"
    if subprocess.run([*MOUNT, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no mount namespace, so no small disk can be made")

    done = subprocess.run(
        [*MOUNT, "sh", "-c", script], capture_output=True, text=True, check=False, timeout=300
    )

    assert "disk is full" in done.stderr
    assert done.stdout.split() == ["code", "9"], done.stderr


def test_a_registry_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    done = packager(
        "build", "models:/churn/1", "--tracking-uri", f"http://127.0.0.1:{port}", cwd=tmp_path
    )

    assert done.returncode == 4, done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_registry_where_one_is_looked_for(tmp_path: Path) -> None:
    done = packager("build", "models:/churn/1", cwd=tmp_path)

    assert done.returncode in {3, 4}, done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_model_bigger_than_the_target(tmp_path: Path) -> None:
    model = shutil.copytree(models.folder("pyfunc_code"), tmp_path / "model")
    with (model / "weights.bin").open("wb") as weights:
        weights.truncate(300_000_000)
    done = packager("build", model, "-o", tmp_path / "dist", cwd=tmp_path)

    assert done.returncode == 6, done.stderr
    assert "262,144,000" in done.stderr
    assert "aws-lambda-image" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def copy_bare(folder: Path) -> Path:
    """Copy a small model without its signature and its example."""
    model = shutil.copytree(models.folder("onnx_tensor"), folder / "model")
    described = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
    for key in ("signature", "saved_input_example_info"):
        del described[key]
    (model / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")
    for path in model.glob("*input_example.json"):
        path.unlink()
    return model


def test_a_model_with_nothing_to_prove_it(tmp_path: Path) -> None:
    model = copy_bare(tmp_path)
    done = packager("build", model, "-o", "dist", cwd=tmp_path)

    assert done.returncode == 8, done.stderr
    assert "--allow-unproven" in done.stderr
    assert "--example" in done.stderr

    asked = packager(
        *("build", model, "-o", "dist", "--allow-unproven"),
        *("--passes", PASSES),
        cwd=tmp_path,
    )
    assert asked.returncode == 0, asked.stderr
    assert "UNPROVEN" in asked.stdout
    assert "UNPROVEN" in (tmp_path / "dist" / "README.md").read_text()


def test_an_example_proves_a_model_that_has_none(tmp_path: Path) -> None:
    example = tmp_path / "request.json"
    example.write_text('{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}')
    done = packager(
        *("build", copy_bare(tmp_path), "-o", "dist", "--example", example),
        *("--passes", PASSES),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("proven")


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "thesis.tex").write_text("years of work")
    done = packager("build", models.folder("sklearn_skops"), "-o", "dist", cwd=tmp_path)

    assert done.returncode == 2
    assert (tmp_path / "dist" / "thesis.tex").read_text() == "years of work"


def test_a_wrong_python_says_how_to_get_it(tmp_path: Path) -> None:
    minor = "3.13" if sys.version_info[:2] == (3, 14) else "3.14"
    nowhere = dict.fromkeys(("PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"), str(tmp_path))
    model = models.folder("sklearn_skops")
    done = packager("build", model, "--python", minor, "--dry-run", cwd=tmp_path, **nowhere)

    assert done.returncode == 6, done.stderr
    assert f"uv python install {minor}" in done.stderr
