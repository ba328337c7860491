"""Where text of pandas' alone needs pyarrow, an attempt without it comes first."""

from __future__ import annotations

import gzip
import pickle
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from packager.models.pickles.text_files import rewrite_into
from packager.pipeline import build as build_stage
from packager.types import BuildPlan, FileRecord, Requirements, Shipped, Tier
from tests.unit.pipeline.plan import test_plan

pytest.importorskip("pyarrow")
pd: Any = pytest.importorskip("pandas", minversion="3")
PINS = ("mlflow==3.17.2", "numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1")
ARROW = "pyarrow==25.0.1"
FUNCTION = {"loader_module": "mlflow.sklearn", "code": "code"}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> test_plan.Index:
    plain = test_plan._index()
    versions = {**plain.versions, "pyarrow": ("25.0.1",)}
    brings = {**plain.brings, "mlflow": ("pandas<3.2", "numpy", "pyarrow")}
    return test_plan._use(monkeypatch, replace(plain, versions=versions, brings=brings))


def _text() -> Any:
    return pd.Series(["a", None], dtype=pd.StringDtype("pyarrow", na_value=np.nan))


def _plans(
    root: Path,
    *lines: str,
    files: dict[str, bytes] | None = None,
    **request: Any,
) -> tuple[BuildPlan, ...]:
    files = {"model.pkl": pickle.dumps(_text()), **(files or {})}
    estimator = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    model = test_plan._model(
        root,
        flavors={"python_function": FUNCTION, "sklearn": {**estimator, "code": "code"}},
        requirements=Requirements(lines=(*PINS, *lines)),
        files=tuple(FileRecord(PurePosixPath(name), "0" * 64, 1) for name in files),
    )
    (root / "code").mkdir()
    (root / "MLmodel").write_text("flavors: {}\n")
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    return test_plan._plan(model, **request)


def _describe(plans: tuple[BuildPlan, ...]) -> list[tuple[Tier, bool, bool]]:
    """The tier, whether its pickles are rewritten, and whether pyarrow ships."""
    return [
        (each.tier, bool(each.rewritten), each.lock.version("pyarrow") is not None)
        for each in plans
    ]


def test_the_attempt_without_pyarrow_comes_first(index: test_plan.Index, tmp_path: Path) -> None:
    plans = _plans(tmp_path / "m")
    assert _describe(plans)[:2] == [(Tier.NATIVE, True, False), (Tier.NATIVE, False, True)]
    assert not any(each.rewritten for each in plans if each.tier is Tier.SKINNY)
    first, second = plans[:2]
    (file,) = first.rewritten
    assert (file.path, file.arrays, file.types) == (PurePosixPath("model.pkl"), 1, 0)
    assert file.logged_sha256 != file.sha256
    assert test_plan._said(first, "Text of pandas' in model.pkl is held without pyarrow: 1 array")
    assert test_plan._said(first, "--keep-package pyarrow ships it as it was logged")
    assert test_plan._said(second, "model.pkl was pickled where pandas keeps text in pyarrow")
    assert test_plan._said(second, 'pandas.set_option("mode.string_storage", "python")')
    assert "text without pyarrow" in build_stage._label(first)
    assert "text without pyarrow" not in build_stage._label(second)


def test_what_mlflow_listed_by_itself_is_left_out_too(
    index: test_plan.Index, tmp_path: Path
) -> None:
    # MLflow lists pyarrow, because loading the model imports it
    plans = _plans(tmp_path / "m", ARROW)
    assert _describe(plans)[0] == (Tier.NATIVE, True, False)
    assert plans[0].shipped is Shipped.SERVING
    assert "pyarrow" in plans[0].unshipped
    assert test_plan._said(plans[0], "pandas works another way where it finds pyarrow")


@pytest.mark.parametrize(
    "request_",
    [
        {"requirements": Shipped.DECLARED},
        {"keep_packages": ("pyarrow",)},
        {"keep_packages": ("PyArrow",)},
    ],
)
def test_it_ships_where_that_is_asked_for(
    index: test_plan.Index, tmp_path: Path, request_: dict[str, Any]
) -> None:
    plans = _plans(tmp_path / "m", ARROW, **request_)
    assert not any(each.rewritten for each in plans)
    assert plans[0].lock.version("pyarrow") == "25.0.1"


def _pickle_step() -> bytes:
    """A pickle that names the model's own code beside text."""
    return pickle.dumps(_text(), 2)[:-1] + b"csteps\nScaler\n\x86."


@pytest.mark.parametrize(
    "files",
    [
        {"code/steps.py": b"import pyarrow\n", "model.pkl": _pickle_step()},
        {"code/steps.py": b"frame.to_parquet('x')\n", "model.pkl": _pickle_step()},
        {"other.pkl": pickle.dumps([pd.array([1], dtype="int64[pyarrow]")])},
    ],
)
def test_it_ships_where_anything_else_needs_it(
    index: test_plan.Index, tmp_path: Path, files: dict[str, bytes]
) -> None:
    plans = _plans(tmp_path / "m", files=files)
    assert not any(each.rewritten for each in plans)
    assert plans[0].lock.version("pyarrow") == "25.0.1"


def test_a_damaged_array_is_told_and_ships_as_it_was(
    index: test_plan.Index, tmp_path: Path
) -> None:
    content = pickle.dumps(_text(), protocol=4)
    offsets = b"\0" * 8 + b"\1" + b"\0" * 7 + b"\1" + b"\0" * 7
    assert offsets in content
    damaged = content.replace(offsets, b"\0" * 8 + b"\7" + b"\0" * 7 + b"\7" + b"\0" * 7)
    plans = _plans(tmp_path / "m", files={"model.pkl": damaged})
    assert not any(each.rewritten for each in plans)
    assert test_plan._said(
        plans[0],
        "it cannot be rewritten (model.pkl: a text array of it is damaged: its offsets go from 0 "
        "to 7 of 1 bytes)",
    )


def test_compressed_pickles_are_rewritten_as_their_reader_takes_them(
    index: test_plan.Index, tmp_path: Path
) -> None:
    packed = gzip.compress(pickle.dumps([_text(), _text()]))
    plans = _plans(tmp_path / "m", files={"artifacts/table.pkl": packed})
    assert [each.path.name for each in plans[0].rewritten] == ["table.pkl", "model.pkl"]
    assert [each.arrays for each in plans[0].rewritten] == [2, 1]
    target = tmp_path / "t"
    names = [each.path.as_posix() for each in plans[0].rewritten]
    written = rewrite_into(tmp_path / "m", names, target)
    assert written == plans[0].rewritten
    with gzip.open(target / "artifacts/table.pkl") as file:
        found = pd.read_pickle(file)
    assert [each.dtype.storage for each in found] == ["python", "python"]


def test_files_that_only_say_its_name_stay(index: test_plan.Index, tmp_path: Path) -> None:
    files = {"words.pkl": pickle.dumps(["text of pyarrow"]), "torn.pkl": b"\x80\x04pyarrow"}
    plans = _plans(tmp_path / "m", files=files)
    assert [each.path.name for each in plans[0].rewritten] == ["model.pkl"]


def test_types_of_columns_alone_are_told(index: test_plan.Index, tmp_path: Path) -> None:
    content = pickle.dumps([pd.StringDtype("pyarrow", na_value=np.nan)])
    plans = _plans(tmp_path / "m", files={"model.pkl": content})
    (found,) = (each for each in plans if each.rewritten)
    assert found.lock.version("pyarrow") is None
    assert test_plan._said(found, "held without pyarrow: 1 type of columns written")
