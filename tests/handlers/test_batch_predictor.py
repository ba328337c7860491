"""The predictor that Ray and Spark run is the function's own, and loses no digit of its rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.manifest import FILENAME, Manifest
from packager.system import resources
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import run
from tests.handlers.modelling import laid_out, with_handlers

SCRIPTS = resources.TEMPLATES / "aws_lambda" / "_batch"
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("function")
    laid_out(models.folder("onnx_columns"), folder, Tier.NATIVE, Frame.NUMPY)
    manifest = replace(Manifest.read(folder), python=OURS)
    (folder / FILENAME).write_text(manifest.text(), encoding="utf-8")
    return with_handlers(folder)


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import batch_predictor  # type: ignore[import-not-found]

    yield batch_predictor
    del sys.modules["batch_predictor"]


def table(function: Path, rows: int) -> pd.DataFrame:
    specs = (Manifest.read(function).signature or {})["inputs"]
    dice = np.random.default_rng(4)
    return pd.DataFrame({spec["name"]: dice.normal(50, 20, rows) for spec in specs})


def test_answers_are_those_of_a_direct_invoke(function: Path, tmp_path: Path, batch: Any) -> None:
    frame = table(function, 50)
    predictor = batch.Predictor(str(function))
    found = pd.concat([batch.scored(predictor, frame[:20]), batch.scored(predictor, frame[20:])])
    predictor.close()

    records = json.loads(json.dumps(frame.to_dict(orient="records")))
    (direct,) = run(function, [{"dataframe_records": records}], tmp_path).results
    assert list(map(json.loads, found["prediction"])) == direct["answer"]["predictions"]
    assert found["error"].isna().all()


def test_a_bad_row_has_its_reason_and_spoils_no_other(function: Path, batch: Any) -> None:
    rows = table(function, 3).to_dict(orient="records")
    rows[1] = dict.fromkeys(rows[1], "text")
    predictor = batch.Predictor(str(function))
    first, second, third = predictor(rows)
    assert predictor([]) == []
    predictor.close()

    assert (first[1], third[1]) == (None, None)
    assert second[0] is None
    assert second[1].startswith("BAD_REQUEST: ")


def test_another_python_is_refused(
    function: Path, tmp_path: Path, batch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in function.iterdir():
        (other / path.name).symlink_to(path)
    (other / FILENAME).unlink()
    manifest = replace(Manifest.read(function), python="3.99")
    (other / FILENAME).write_text(manifest.text(), encoding="utf-8")
    predictor = batch.Predictor(str(other))

    with pytest.raises((RuntimeError, BrokenPipeError)):
        predictor([{"a": 1}])

    predictor.close()
    assert "the function is for Python 3.99" in capfd.readouterr().err
