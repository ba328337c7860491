"""What the files of an estimator say of it, without loading it, and how much of them is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from packager.errors import ModelFormatError
from packager.models.flavors import _look
from packager.models.flavors._look import Contents

PLAIN = "sklearn.linear_model._base.LinearRegression"


@pytest.mark.parametrize(
    ("names", "strings", "arrays"),
    [
        ({PLAIN}, set(), True),
        ({PLAIN, "numpy.ndarray", "builtins.dict"}, {"coef_"}, True),
        ({PLAIN, "sklearn.compose._column_transformer.ColumnTransformer"}, set(), False),
        ({PLAIN, "sklearn.preprocessing._function_transformer.FunctionTransformer"}, set(), False),
        ({PLAIN, "sklearn.compose._column_transformer.make_column_selector"}, set(), False),
        ({PLAIN, "mine.Estimator"}, set(), False),
        ({PLAIN, "builtins.eval"}, set(), False),
        ({PLAIN}, {"_sklearn_output_config"}, False),
    ],
    ids=range(8),
)
def test_an_estimator_takes_arrays_where_nothing_of_it_looks_at_columns(
    names: set[str], strings: set[str], *, arrays: bool
) -> None:
    contents = Contents(names=frozenset(names), strings=frozenset(strings))
    assert _look.takes_arrays(contents) is arrays


def test_a_schema_of_skops_is_read_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes of a zip can stand for gigabytes."""
    monkeypatch.setattr(_look, "_MOST_SCHEMA", 100)
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "{" + " " * 100 + "}")

    with pytest.raises(ModelFormatError, match="its schema has more than 100 bytes"):
        _look.skops(path)
