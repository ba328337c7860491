"""Facts of a model that its manifest and the installed packages decide."""

from __future__ import annotations

import pandas as pd
import pytest

from handlers.manifest import Manifest
from handlers.scoring.schema import model_spec, np
from handlers.scoring.schema.columns import Column, Table
from handlers.scoring.schema.frames import from_dataframe, to_dataframe
from handlers.scoring.schema.model_spec import Model
from handlers.scoring.schema.quirks import quirks


def manifest(frame: str) -> Manifest:
    return Manifest(
        model_name="m", mlflow_version="3.9.0", digest="0", flavor="f", loader="none",
        frame=frame, python="3.13", request_bytes=1, response_bytes=1,
    )  # fmt: skip


def test_nothing_is_mended_or_kept_unless_asked_for() -> None:
    found = Model.read(manifest("numpy"))

    assert not found.keeps_unknown
    assert found.quirks == quirks("3.9.0", None)
    assert found.quirks.no_type_fails


@pytest.mark.parametrize(
    ("frame", "installed", "reads"),
    [("numpy", True, False), ("pandas", True, True), ("pandas", False, False)],
)
def test_parquet_needs_pandas_and_pyarrow(
    *, frame: str, installed: bool, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_spec, "_is_installed", lambda name: installed and name == "pyarrow")

    assert Model.read(manifest(frame)).parquet is reads


def test_pandas_own_version_decides_what_its_tables_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pd, "__version__", "2.3.1")

    assert Model.read(manifest("pandas")).quirks == quirks("3.9.0", "2.3.1")
    assert not Model.read(manifest("pandas")).quirks.text_dtype
    assert Model.read(manifest("numpy")).quirks.text_dtype


@pytest.mark.parametrize("count", [2, 3])
def test_columns_of_one_type_become_one_block(count: int) -> None:
    cells = {f"c{i}": Column(np.array([1.5, 2.5])) for i in range(count)}
    frame = to_dataframe(Table(cells, 2))

    assert [frame[name].tolist() for name in cells] == [[1.5, 2.5]] * count
    assert np.shares_memory(frame["c0"].to_numpy(), frame.to_numpy())


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (pd.RangeIndex(2), None),
        (pd.RangeIndex(1, 3), [1, 2]),
        (pd.Index([0, 1]), [0, 1]),
        (pd.Index(["a", "b"]), ["a", "b"]),
    ],
)
def test_labels_are_kept_but_for_plain_positions(
    index: pd.Index[int], kept: list[object] | None
) -> None:
    assert from_dataframe(pd.DataFrame({"x": [1.0, 2.0]}, index=index)).index == kept
