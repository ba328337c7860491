"""The image of the tool itself: built of this tree, without rights, and a build inside of it.

The base is this machine's own Python with pip, laid out as python:3.13-slim. What the image's own
steps install comes from the index that this machine uses.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from packager.system.atomic_output import MARKER
from tests import models
from tests.integration.containers import base
from tests.integration.containers.engine import Engine
from tests.integration.containers.lint import lint

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
_BASE = "local/python:3.13-slim"
_NAMESPACES = (
    *("--security-opt", "seccomp=unconfined"),
    *("--security-opt", "systempaths=unconfined"),
)


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of what .dockerignore lets through alone: a client without BuildKit sends all the rest."""
    context = tmp_path_factory.mktemp("context")
    for name in read_context():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, context / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
        else:
            shutil.copy(source, context / name)
    shutil.copy(ROOT / "Dockerfile", context)
    engine.run("tag", base.with_pip(engine), _BASE)
    engine.run(
        *("build", "--quiet", "--network", "host", "--build-arg", f"BASE={_BASE}"),
        *("--tag", "packager", context),
    )
    return "packager"


def read_context() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_the_image_has_no_rights_and_says_its_version(engine: Engine, image: str) -> None:
    told = engine.run("run", "--rm", "--network", "none", image, "--version")

    assert re.fullmatch(r"\d+\.\d+\.\d+", told)
    assert lint(engine, image).findings == ()
    assert engine.inspect(image)["Config"]["User"] == "65532:65532"


def test_what_it_imports_is_compiled_there(engine: Engine, image: str) -> None:
    """Its user may not write beside it: each run would compile all of it anew."""
    look = (
        "import os; from importlib.util import find_spec; "
        "print(all(os.path.isfile(find_spec(name).cached) for name in ('packager', 'mlflow')))"
    )
    python = ("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", look)

    assert engine.run(*python) == "True"


@pytest.mark.rare
def test_a_model_is_built_and_proven_inside(engine: Engine, image: str, tmp_path: Path) -> None:
    """As the line in the documentation does, with this machine's network for its index."""
    (work := tmp_path / "work").mkdir()
    work.chmod(0o777)
    shutil.copytree(models.folder("onnx_tensor"), work / "model")
    told = engine.run(
        *("run", "--rm", "--network", "host", *_NAMESPACES, "-v", f"{work}:/work"),
        *(image, "build", "model", "--rows", "20", "--passes", "prune", "--json"),
        *("-o", "dist/model"),
    )

    assert json.loads(told)["evidence"]["proven"]
    assert (work / "dist" / "model" / MARKER).is_file()
    assert (work / "dist" / "model").stat().st_uid == 65532
