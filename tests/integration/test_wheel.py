"""What is built to be published, installed alone: what it needs must have come along."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from packager.environments import interpreters, uv_command
from packager.errors import InterpreterNotFoundError
from packager.system import cache
from tests import models

ROOT = Path(__file__).parents[2]
MINORS = ("3.11", "3.12", "3.13", "3.14")
CHECK = """
import json
from packager import facts
from packager.system import cache, resources
from packager.targets import TARGETS
print(json.dumps({
    "templates": sorted(p.name for p in resources.TEMPLATES.rglob("*.j2")),
    "infra": resources.INFRA.is_dir(),
    "handlers": (resources.handlers_root() / "manifest.py").is_file(),
    "targets": sorted(TARGETS),
    "facts": {name: facts.limits(name).tmp_bytes for name in TARGETS},
    "code": cache.digest_code(),
}))
"""


def run(*argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Its output. Fails with the command's own words."""
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (argv, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(uv_command.path(), "build", "--quiet", "-o", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module", params=MINORS)
def python(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A Python of its own with the wheel and what the wheel names, and nothing else."""
    try:
        interpreter = interpreters.find(request.param)
    except InterpreterNotFoundError as error:
        pytest.skip(str(error).splitlines()[0])
    folder = tmp_path_factory.mktemp(f"python{request.param}")
    run(uv_command.path(), "venv", "--quiet", "--python", interpreter.path, folder)
    python = folder / "bin" / "python"
    run(uv_command.path(), "pip", "install", "--quiet", "--python", python, wheel)
    return python


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in a file, with the model churn under an alias."""
    folder = tmp_path_factory.mktemp("registry")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.create_registered_model("churn")
        client.create_model_version("churn", models.folder("sklearn_skops").as_uri())
        client.set_registered_model_alias("churn", "champion", "1")
    return folder / "mlflow.db"


@pytest.mark.slow
def test_the_sdist_gives_the_wheel_that_the_tree_gives(
    dist: Path, wheel: Path, tmp_path: Path
) -> None:
    """A folder that only one of the two names would be missing from what people install."""
    run(uv_command.path(), "build", "--quiet", "--wheel", "-o", tmp_path, ROOT)
    (direct,) = tmp_path.glob("*.whl")
    (source,) = dist.glob("*.tar.gz")

    assert read_wheel(direct) == read_wheel(wheel)
    with tarfile.open(source) as archive:
        top = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    assert {"packager", "handlers", "templates", "infra", "LICENSE", "README.md"} <= top
    assert not top & {".venv", "demo", "dist", ".git"}


def read_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.slow
def test_data_comes_along(python: Path, tmp_path: Path) -> None:
    found = json.loads(run(python, "-c", CHECK, cwd=tmp_path))

    assert "template.yaml.j2" in found["templates"]
    assert found["infra"]
    assert found["handlers"]
    assert "aws-lambda" in found["targets"]
    assert found["facts"]["aws-lambda"] > 0
    # a build by the wheel can be built again by the checkout of the same commit
    assert found["code"] == cache.digest_code()


@pytest.mark.slow
def test_the_installed_command_plans_a_registered_model(
    python: Path, registry: Path, tmp_path: Path
) -> None:
    """Of MLflow only its clients are installed: they open a registry all the same."""
    packager = python.parent / "packager"
    # what another Python asked is kept for the same file: it is not to answer here
    own = shutil.copy(registry, tmp_path)
    installed = run(uv_command.path(), "pip", "list", "--format", "json", "--python", python)
    told = run(
        *(packager, "build", "models:/churn@champion", "--tracking-uri", f"sqlite:///{own}"),
        *("--dry-run", "--json"),
        cwd=tmp_path,
    )
    names = {each["name"] for each in json.loads(installed)}

    assert "mlflow-skinny" in names
    assert not names & {"mlflow", "scikit-learn", "pyarrow", "skops"}
    assert run(packager, "--version", cwd=tmp_path).strip() == "0.1.0"
    assert json.loads(told)["attempts"][0]["tier"] == "native"


@pytest.mark.slow
def test_the_installed_command_checks_the_machine(python: Path, tmp_path: Path) -> None:
    told = json.loads(run(python.parent / "packager", "doctor", "--json", cwd=tmp_path))

    assert told["ready"]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/guides/quickstart.md"])
def test_uv_installs_the_command_as_a_tool(page: str, tmp_path: Path) -> None:
    """By the line that the page has its reader type in a checkout; the wheel's lines after it."""
    lines = re.findall(r"(?m)^    (uv (?:tool|build) .+)$", (ROOT / page).read_text("utf-8"))
    assert lines[0] == "uv tool install ."
    python = interpreters.find("3.13" if interpreters.available(("3.13",)) else "3.11").path
    places = {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{uv_command.path().parent}{os.pathsep}{os.environ['PATH']}",
        "UV_CACHE_DIR": run(uv_command.path(), "cache", "dir").strip(),
        "UV_PYTHON": str(python),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
    }
    for line in lines:
        words = line.replace("wheels", str(tmp_path / "wheels"))
        run("bash", "-ec", words, cwd=ROOT, env=os.environ | places)

    assert [each.name for each in (tmp_path / "bin").iterdir()] == ["packager"]
    assert run(tmp_path / "bin" / "packager", "--version", cwd=tmp_path).strip() == "0.1.0"
