"""Each flavor from its logged folder to an artifact that was booted and answered the same."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from packager.environments.interpreters import find
from packager.errors import UnprovenError
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.system.file_tree import sha256
from packager.targets import processor_emulation
from packager.targets.lambda_emulator import Emulator, EventKind, http_event
from packager.types import BuildReport, BuildRequest, Engine, make_request
from tests import models
from tests.evidence_schema import list_wrong
from tests.models import flavor_table

pytestmark = pytest.mark.slow

# model -> the tier and frame that are proven for it
EXPECTED = {
    "sklearn_skops": ("native", "numpy"),
    "sklearn_columns": ("native", "pandas"),
    "sklearn_cloudpickle_proba": ("native", "numpy"),
    "sklearn_pickle": ("native", "numpy"),
    "sklearn_mlflow2": ("native", "numpy"),
    "xgboost_booster": ("native", "numpy"),
    "xgboost_classifier": ("native", "numpy"),
    "lightgbm_booster": ("native", "numpy"),
    "lightgbm_classifier": ("native", "numpy"),
    "onnx_tensor": ("native", "numpy"),
    "onnx_columns": ("native", "numpy"),
    "pyfunc_loader": ("native", "pandas"),
    "pyfunc_pickle": ("stub", "pandas"),
    "pyfunc_code": ("stub", "pandas"),
    "pyfunc_mlflow": ("skinny", "pandas"),
    "catboost_classifier": ("native", "pandas"),
    "catboost_categories": ("native", "pandas"),
    "statsmodels_formula": ("native", "pandas"),
    "prophet_bounds": ("native", "pandas"),
    "prophet_point": ("native", "pandas"),
    "spacy_categories": ("native", "numpy"),
}
# by the same loader and format as one that is always built, or built by another test: those of
# test_flavors_proven.py, catboost_categories by test_engine.py, lightgbm_booster by conftest.py
LIKE_OTHERS = {
    "sklearn_cloudpickle_proba",
    "pyfunc_code",
    "catboost_categories",
    "lightgbm_booster",
    "sklearn_pickle",
    "sklearn_mlflow2",
    "xgboost_booster",
    "lightgbm_classifier",
    "onnx_tensor",
    "catboost_classifier",
    "statsmodels_formula",
    "prophet_bounds",
    "prophet_point",
}
FOR_THE_TABLE = pytest.mark.skipif(
    "PACKAGER_EVIDENCE" not in os.environ,
    reason="built for the table of flavors alone: PACKAGER_EVIDENCE=1",
)
# minutes each, and by a loader that another target's or engine's tests build, or by one of its own
# packages alone
RARE = {"spacy_categories", "onnx_columns", "pyfunc_loader"}
# asked again by later tests; the others' files are dropped at once
SHARED = {"sklearn_skops", "pyfunc_pickle"}


def _choose_marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    if name in LIKE_OTHERS:
        return (FOR_THE_TABLE,)
    return (pytest.mark.rare,) if name in RARE else ()


def request(name: str, out: Path, **options: Any) -> BuildRequest:
    given = {"engine": Engine.NATIVE, **options}
    return make_request(model_uri=str(models.folder(name)), out_dir=out, **given)


@functools.cache
def built(name: str, folder: Path) -> BuildReport:
    return build(request(name, folder / name), MlflowRegistry(None, None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=_choose_marks(name)) for name in EXPECTED],
)
def test_a_flavor_is_built_and_proven(name: str, folder: Path, tmp_path: Path) -> None:
    report = built(name, folder if name in SHARED else tmp_path)

    assert (str(report.plan.tier), str(report.plan.frame)) == EXPECTED[name]
    assert report.plan.runtime.python_minor in {"3.12", "3.13", "3.14"}
    assert report.evidence.proven
    assert report.evidence.replay.rows_compared >= 1000
    assert report.evidence.replay.mismatches == 0
    assert report.evidence.replay.max_abs_error == 0.0
    written = next(path for path in report.emitted if path.name == "evidence.json")
    assert list_wrong(json.loads(written.read_text(encoding="utf-8"))) == []
    assert report.artifact.unzipped_bytes <= 262_144_000
    at_random = [note for note in report.evidence.describe()["notes"] if "draws at random" in note]
    assert bool(at_random) == (name == "prophet_bounds")
    if "PACKAGER_EVIDENCE" in os.environ:
        flavor_table.keep(name, flavor_table.proven(report))


def test_two_builds_on_two_paths_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = built("sklearn_skops", folder)
    second = build(
        request("sklearn_skops", tmp_path / "another place" / "x"), MlflowRegistry(None, None)
    )

    assert first.artifact.sha256 == second.artifact.sha256
    one, two = (
        {path.name: sha256(path) for path in report.emitted if path.is_file()}
        for report in (first, second)
    )
    # measured times differ from run to run, and the template's memory may follow them
    measured = {"evidence.json", "report.html", "report.json", "README.md", "template.yaml"}
    assert {k: v for k, v in one.items() if k not in measured} == {
        k: v for k, v in two.items() if k not in measured
    }


def test_the_zip_and_the_folder_are_the_same_tree(folder: Path) -> None:
    artifact = built("sklearn_skops", folder).artifact
    with zipfile.ZipFile(artifact.path) as archive:
        zipped = {info.filename: info.CRC for info in archive.infolist()}

    assert set(zipped) == {
        path.relative_to(artifact.folder).as_posix()
        for path in artifact.folder.rglob("*")
        if path.is_file()
    }


def test_no_path_of_the_author_or_this_machine_ships(folder: Path) -> None:
    out = built("pyfunc_pickle", folder).artifact.folder.parent
    author = b"/tmp/model-author"
    here = str(Path.home()).encode() + b"/"
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".zip":
            content = path.read_bytes()
            # the code objects in a pickle name the author's file: a model's bytes stay as they are
            assert author not in content or path.suffix == ".pkl", path
            assert here not in content, path
            assert str(folder).encode() not in content, path


@pytest.mark.rare
def test_an_arm64_build_without_qemu_passes_everything_but_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_emulation, "find_qemu", lambda: None)
    registry = MlflowRegistry(None, None)
    with pytest.raises(UnprovenError, match=r"--allow-unproven"):
        build(request("sklearn_skops", tmp_path / "arm", architecture="arm64"), registry)
    assert not (tmp_path / "arm").exists()

    report = build(
        request("sklearn_skops", tmp_path / "arm", architecture="arm64", allow_unproven=True),
        registry,
    )

    assert not report.evidence.proven
    assert "arm64" in report.evidence.why_unproven
    assert report.evidence.checks
    assert "arm64" in (tmp_path / "arm" / "template.yaml").read_text()


def test_the_artifact_answers_at_every_door(folder: Path) -> None:
    report = built("sklearn_skops", folder)
    function = report.artifact.folder
    body = (function / "model" / "serving_input_example.json").read_bytes()
    headers = {"content-type": "application/json"}
    expected = None
    with Emulator(function, interpreter=find(report.plan.runtime.python_minor)) as running:
        direct = json.loads(running.invoke(body).body)
        kinds: tuple[EventKind, ...] = ("http-api", "rest-api", "function-url", "alb")
        for kind in kinds:
            event = http_event("POST", "/invocations", body, headers, kind=kind)
            answer = json.loads(running.invoke(json.dumps(event).encode()).body)
            assert answer["statusCode"] == 200, (kind, answer)
            expected = json.loads(answer["body"])
            assert expected == direct, kind
        log = running.log()
    assert expected is not None
    assert len(expected["predictions"]) > 0
    first_value = json.loads(body)["dataframe_split"]["data"][0]
    assert str(first_value)[1:-1] not in log


def test_a_build_that_is_killed_leaves_no_half_artifact(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    model = str(models.folder("sklearn_skops"))
    argv = [sys.executable, "-m", "packager", "build", model, "-o", str(out)]
    for seconds in (1.5, 4, 7):
        running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(seconds)
        running.terminate()
        _, err = running.communicate(timeout=60)
        # the last two: it had not begun yet, or was done already
        assert running.returncode in {143, -signal.SIGTERM, 0}, err
        if running.returncode != 0:
            assert not out.exists()
        assert not list(tmp_path.glob(".dist.partial-*"))
