"""An app whose weights lie on a share: built, proven, asked, and refused where they are others."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.invoke import invoke_artifact
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import Engine, Weights, make_request
from tests import models

_WHY_NOT = why_not_bootable("x86_64")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.rare,
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "it boots"),
]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("mounted")
    model = shutil.copytree(models.folder("sklearn_pickle"), base / "model")
    estimator = pickle.loads((model / "model.pkl").read_bytes())  # noqa: S301 - our own
    estimator.ballast_ = np.zeros(3_000_000, np.uint8)
    (model / "model.pkl").write_bytes(pickle.dumps(estimator, protocol=5))
    request = make_request(
        str(model), target="azure-functions", weights=Weights.MOUNT, engine=Engine.NATIVE, rows=50,
        out_dir=base / "out",
    )  # fmt: skip
    build(request, MlflowRegistry(None, None))
    return base / "out"


def _invoke(artifact: Path) -> str:
    found = invoke_artifact(
        artifact, data=None, http=False, content_type="application/json", repeat=1,
        memory_mb=None, event=None, variables=[],
    )  # fmt: skip
    return json.dumps(found)


def test_it_is_proven_with_its_weights_beside_the_app(artifact: Path) -> None:
    told = json.loads((artifact / "evidence.json").read_text())["evidence"]
    assert told["proven"]
    assert "stands for the mounted file system" in told["checks"]["weights"]
    assert not [*(artifact / "function").rglob("model.pkl")]
    assert list_problems(verify_artifact(artifact)) == []


def test_it_answers_with_its_own_weights_and_with_no_others(artifact: Path, tmp_path: Path) -> None:
    assert '"predictions"' in _invoke(artifact).replace("\\", "")
    changed = shutil.copytree(artifact, tmp_path / "changed")
    (weight,) = (changed / "weights").iterdir()
    content = bytearray(weight.read_bytes())
    content[1000] ^= 1
    weight.write_bytes(content)
    assert "WeightsError" in _invoke(changed)
