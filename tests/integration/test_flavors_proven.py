"""Flavors that need more than the table: few rows, random answers, or more room than there is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from packager.environments.interpreters import find
from packager.errors import VerificationError
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.system.file_tree import sha256
from packager.system.resources import WORKERS
from packager.types import BuildReport, Engine, Frame, PassName, Tier, make_request
from tests import models
from tests.handlers.modelling import laid_out

pytestmark = pytest.mark.slow


def built(name: str, out: Path, **options: Any) -> BuildReport:
    given = {"engine": Engine.NATIVE, **options}
    request = make_request(model_uri=str(models.folder(name)), out_dir=out / name, **given)
    return build(request, MlflowRegistry(None, None))


@pytest.mark.rare
def test_a_time_series_is_asked_with_one_row(tmp_path: Path) -> None:
    evidence = built("statsmodels_series", tmp_path).evidence
    assert evidence.proven
    assert evidence.replay.mismatches == 0
    assert evidence.replay.rows_compared >= 5
    # MLflow refuses more than one row for a time series, and so does the artifact
    assert evidence.replay.refusals_agreed >= 20


@pytest.mark.rare
def test_bounds_that_are_drawn_at_random_are_said(tmp_path: Path) -> None:
    evidence = built("prophet_bounds", tmp_path).evidence
    (note,) = (note for note in evidence.describe()["notes"] if "draws at random" in note)
    assert "'yhat_lower'" in note
    assert "'yhat';" not in note


ENVIRONMENTS = {
    # CPU builds of PyTorch are not in every index; pip knows of further ones
    "torch": (
        sys.executable,
        (
            "torch==2.13.0+cpu",
            "numpy==2.4.6",
            "sentence-transformers==6.2.0",
            "transformers==5.23.0",
        ),
    ),
    "tensorflow": ("3.13", ("tensorflow-cpu==2.21.0",)),
}


QUICK = {
    # bfloat16, float16, torch.compile, CUDA graphs: proven, or left as it was
    "pytorch_pt2": (True, True, True, False),
    "sentences_vectors": (True, True, False, False),
    "transformers_text": (True, True, False, False),
}


UNPICKLED = {
    "sentences_vectors": ("model.sentence_transformer", "SentenceTransformer"),
    "transformers_classes": ("model", "BertForSequenceClassification"),
    # its decoder's weights are its embeddings'
    "transformers_mask": ("model", "BertForMaskedLM"),
}
"""The folder that its library loads, and the class that loads it."""
PICKLE = """
import pathlib, sys, torch, transformers
from safetensors.torch import load_file
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
file = folder / "model.safetensors"
state = load_file(file) if name == "SentenceTransformer" else (
    getattr(transformers, name).from_pretrained(folder).state_dict())
torch.save(dict(state), folder / "pytorch_model.bin")
file.unlink()
"""


def unpickled(
    python: Path, folder: Path, name: str, read_as: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Weights as they were saved years ago, given to the pass's worker."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([python, "-c", PICKLE, folder, name], check=True, timeout=300, env=env)
    worker = WORKERS / "weights.py"
    return subprocess.run(
        [python, worker, folder, read_as or name],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=env,
    )


def check_weights(python: Path, out: Path) -> None:
    for model, (home, name) in UNPICKLED.items():
        folder = out / model / home
        shutil.copytree(models.folder(model), out / model)
        logged = (folder / "model.safetensors").stat().st_size
        done = unpickled(python, folder, name)
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads(done.stdout.splitlines()[-1]) == ["pytorch_model.bin"]
        assert not list(folder.glob("*.bin*"))
        # no tied tensor twice
        assert (folder / "model.safetensors").stat().st_size == pytest.approx(logged, abs=200)
    folder = out / "unread"
    shutil.copytree(models.folder("transformers_classes") / "model", folder)
    done = unpickled(python, folder, "BertForSequenceClassification", read_as="NoSuchModel")
    assert done.returncode == 3
    assert "NoSuchModel" in done.stderr
    assert [path.name for path in folder.glob("*model*")] == ["pytorch_model.bin"]


def quickened(python: Path, function: Path) -> tuple[bool, ...]:
    done = subprocess.run(
        [python, Path(__file__).parent / "tiers_in_process.py", function],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return tuple(used for used, _ in json.loads(done.stdout.splitlines()[-1]).values())


PIPELINES = tuple(name for name in models.names() if name.startswith("transformers_"))


@pytest.fixture
def python_with(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A Python with MLflow and a framework of hundreds of megabytes; it goes again at once."""
    folder = tmp_path / "environment"

    def make(name: str) -> Path:
        python, wanted = ENVIRONMENTS[name]
        if python != sys.executable:
            python = str(find(python).path)
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [
            str(folder / "bin" / "pip"),
            "install",
            "-q",
            "--no-cache-dir",
            "--only-binary",
            ":all:",
        ]
        argv = [*pip, *wanted, "mlflow==3.17.2", "pandas==3.1.1"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no CPU build of {name} for this Python: {done.stderr[-300:]}")
        return folder / "bin" / "python"

    yield make
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.rare
@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        (
            "torch",
            (
                ("pytorch_pt2", Frame.NUMPY),
                ("pytorch_pickle", Frame.NUMPY),
                ("pytorch_pickle", Frame.PANDAS),
                ("sentences_vectors", Frame.PANDAS),
                ("sentences_service", Frame.PANDAS),
                *((name, Frame.PANDAS) for name in PIPELINES),
            ),
        ),
        ("tensorflow", (("tensorflow_keras", Frame.NUMPY), ("tensorflow_module", Frame.NUMPY))),
    ],
)
def test_a_network_answers_as_mlflow(
    environment: str,
    asked: tuple[tuple[str, Frame], ...],
    python_with: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    python = python_with(environment)
    quick = {}
    for name, frame in asked:
        _, function = laid_out(models.folder(name), tmp_path / f"{name}-{frame}", frame=frame)
        script = "pipelines_in_process.py" if name in PIPELINES else "in_process.py"
        done = subprocess.run(
            [python, Path(__file__).parent / script, models.folder(name), function],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            # everything that a model needs lies in its folder; MLflow prints a set in a refusal
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        last = done.stdout.splitlines()[-1]
        assert last.endswith(" refused") if name in PIPELINES else last == "1003"
        if name in QUICK:
            quick[name] = quickened(python, function)
    assert quick == {name: QUICK[name] for name, _ in asked if name in QUICK}
    if environment == "torch":
        check_weights(python, tmp_path / "pickled")


@pytest.mark.rare
def test_text_of_pandas_is_held_without_pyarrow(tmp_path: Path) -> None:
    passes = (PassName.PRUNE,)
    report = built("statsmodels_arrow", tmp_path, tier=Tier.NATIVE, passes=passes, trace=False)
    assert report.evidence.proven
    assert report.evidence.replay.mismatches == 0
    assert report.evidence.replay.rows_compared >= 1000
    (file,) = report.plan.rewritten
    logged = models.folder("statsmodels_arrow") / file.path
    assert file.logged_sha256 == sha256(logged)
    assert report.plan.lock.version("pyarrow") is None
    with zipfile.ZipFile(report.artifact.path) as archive:
        assert not [name for name in archive.namelist() if name.startswith("pyarrow")]
        assert hashlib.sha256(archive.read(f"model/{file.path}")).hexdigest() == file.sha256


@pytest.mark.rare
def test_what_does_not_fit_names_the_target_that_takes_it(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"budget: .*aws-lambda-image") as caught:
        built("statsmodels_arrow", tmp_path, tier=Tier.NATIVE, keep_packages=("pyarrow",))
    assert {finding.check for finding in caught.value.findings} == {"budget"}
    assert "pyarrow" in str(caught.value)
    assert not (tmp_path / "statsmodels_arrow").exists()
