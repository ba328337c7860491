"""Every loader answers as mlflow.pyfunc does: same values, same types, no tolerance."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.manifest import Manifest
from handlers.scoring import predictor
from packager.models.flavors import choose
from packager.types import Frame, Tier
from tests import models
from tests.handlers.modelling import laid_out, resolved

# made with older frameworks than are installed here, which say so
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.InconsistentVersionWarning",
    "ignore:.*older version of XGBoost",
    "ignore:Exception ignored (on|while) calling ctypes:pytest.PytestUnraisableExceptionWarning",
)
# those frameworks that are installed with the tests; the others are held to MLflow by replay, in
# environments of their own (tests/integration/test_end_to_end.py)
HERE = ("sklearn", "xgboost", "lightgbm", "onnx")
NATIVE = tuple(name for name in models.names() if name.startswith(HERE))
PAIRS = tuple(
    (name, frame)
    for name in NATIVE
    for frame in choose(resolved(models.folder(name))).frames(resolved(models.folder(name)))
)
Reference = Callable[[str], tuple[Any, Any, Any]]


@pytest.fixture(scope="module")
def reference() -> Reference:
    """(example as the model sees it, what MLflow answers, its model), by name."""
    known: dict[str, tuple[Any, Any, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        from mlflow.models.utils import _enforce_schema

    def get(name: str) -> tuple[Any, Any, Any]:
        if name not in known:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded = mlflow.pyfunc.load_model(str(models.folder(name)), suppress_warnings=True)
                example = loaded.input_example
                if example is None:
                    example = np.random.default_rng(0).random((5, 4))
                elif isinstance(example, pd.DataFrame):
                    example = _enforce_schema(example, loaded.metadata.get_input_schema())
                known[name] = example, loaded.predict(example), loaded
        return known[name]

    return get


def _handed(example: Any, frame: Frame) -> Any:
    if frame is Frame.NUMPY and isinstance(example, pd.DataFrame):
        return {name: example[name].to_numpy() for name in example.columns}
    return example


def _load(name: str, tmp_path: Path, frame: Frame) -> tuple[Manifest, predictor.Predictor]:
    manifest, folder = laid_out(models.folder(name), tmp_path, Tier.NATIVE, frame)
    return manifest, predictor.load(manifest, folder)


def same(got: Any, wanted: Any) -> bool:
    """Equality of values and types; a DataFrame's rows count as records where pandas is absent."""
    if isinstance(wanted, pd.DataFrame):
        if isinstance(got, pd.DataFrame):
            pd.testing.assert_frame_equal(got, wanted, check_exact=True)
            return True
        return bool(got == wanted.to_dict("records"))
    if isinstance(wanted, dict):
        return list(got) == list(wanted) and all(same(got[key], wanted[key]) for key in wanted)
    return (
        type(got) is type(wanted)
        and got.dtype == wanted.dtype
        and np.array_equal(got, wanted, equal_nan=got.dtype.kind == "f")
    )


@pytest.mark.few(6)
@pytest.mark.parametrize(("name", "frame"), PAIRS)
def test_answers_as_mlflow(name: str, frame: Frame, reference: Reference, tmp_path: Path) -> None:
    example, wanted, _ = reference(name)
    _, ours = _load(name, tmp_path, frame)
    assert same(ours.predict(_handed(example, frame), None), wanted)


def test_numpy_frames_are_among_those_tried() -> None:
    found = {name for name, frame in PAIRS if frame is Frame.NUMPY}
    assert found >= {"sklearn_skops", "xgboost_classifier", "lightgbm_classifier", "onnx_columns"}


@pytest.mark.parametrize(
    "name", ["sklearn_skops", "sklearn_pickle", "xgboost_booster", "lightgbm_booster"]
)
@pytest.mark.parametrize("rows", [1, 257])
def test_numpy_frame_answers_as_mlflow_for_any_number_of_rows(
    name: str, rows: int, reference: Reference, tmp_path: Path
) -> None:
    example, _, loaded = reference(name)
    rng = np.random.default_rng(rows)
    frame = pd.DataFrame({c: rng.normal(example[c].mean(), 1, rows) for c in example.columns})
    _, ours = _load(name, tmp_path, Frame.NUMPY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = loaded.predict(frame)
    assert same(ours.predict(_handed(frame, Frame.NUMPY), None), wanted)


@pytest.mark.parametrize("frame", [Frame.NUMPY, Frame.PANDAS])
def test_xgboost_passes_the_parameters_that_predict_knows(
    frame: Frame, reference: Reference, tmp_path: Path
) -> None:
    example, plain, loaded = reference("xgboost_booster_params")
    params = {"output_margin": True}
    _, ours = _load("xgboost_booster_params", tmp_path, frame)
    got = ours.predict(_handed(example, frame), {**params, "unheard_of": 1})
    assert same(got, loaded.predict(example, params=params))
    assert not np.array_equal(got, plain)


def test_sklearn_ignores_parameters(reference: Reference, tmp_path: Path) -> None:
    example, wanted, _ = reference("sklearn_skops")
    _, ours = _load("sklearn_skops", tmp_path, Frame.PANDAS)
    assert same(ours.predict(example, {"anything": 1}), wanted)


def test_onnx_answers_a_dict_of_arrays_for_named_arrays(tmp_path: Path) -> None:
    _, ours = _load("onnx_tensor", tmp_path, Frame.NUMPY)
    table = np.array([[5.1, 3.5, 1.4, 0.2]])
    by_name, alone = ours.predict({"X": table}, None), ours.predict(table, None)
    assert same(by_name, alone)
    assert sorted(alone) == ["label", "probabilities"]


def test_onnx_leaves_the_caller_its_own_dict(tmp_path: Path) -> None:
    _, ours = _load("onnx_tensor", tmp_path, Frame.NUMPY)
    feeds = {"X": np.array([[5.1, 3.5, 1.4, 0.2]])}
    ours.predict(feeds, None)
    assert feeds["X"].dtype == np.float64


def test_onnx_refuses_what_is_neither_columns_nor_arrays(tmp_path: Path) -> None:
    _, ours = _load("onnx_tensor", tmp_path, Frame.NUMPY)
    with pytest.raises(TypeError, match="not list"):
        ours.predict([[1.0]], None)


def test_columns_other_than_those_fitted_are_found_at_load(tmp_path: Path) -> None:
    manifest, folder = laid_out(models.folder("sklearn_skops"), tmp_path)
    assert manifest.signature is not None
    manifest.signature["inputs"].reverse()
    with pytest.raises(ValueError, match="fitted on other columns"):
        predictor.load(manifest, folder)


def test_no_loader_of_that_name(tmp_path: Path) -> None:
    manifest, folder = laid_out(models.folder("sklearn_pickle"), tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        predictor.load(replace(manifest, loader="no_such"), folder)


def test_skinny_tier_answers_as_mlflow(reference: Reference, tmp_path: Path) -> None:
    example, wanted, _ = reference("sklearn_columns")
    manifest, folder = laid_out(
        models.folder("sklearn_columns"), tmp_path, Tier.SKINNY, Frame.PANDAS
    )
    assert manifest.loader == "mlflow"
    ours = predictor.load(manifest, folder)
    assert same(ours.predict(example, None), wanted)
