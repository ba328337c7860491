"""A request's columns before a framework sees them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from handlers.manifest import Manifest

if TYPE_CHECKING:
    from typing import TypeGuard

    import pandas as pd


def gets_columns(manifest: Manifest) -> bool:
    """Tell whether the predictor gets a dict of columns where MLflow makes a DataFrame."""
    return manifest.frame == "numpy" and bool(column_names(manifest))


def column_names(manifest: Manifest) -> list[str] | None:
    """Names of a column signature's inputs (positions where unnamed); None for any other."""
    inputs = (manifest.signature or {}).get("inputs")
    if not inputs or any(spec.get("type") == "tensor" for spec in inputs):
        return None
    return [str(spec.get("name", position)) for position, spec in enumerate(inputs)]


def stack_columns(
    columns: Mapping[Any, npt.NDArray[np.generic]], dtype: npt.DTypeLike | None = None
) -> npt.NDArray[np.generic]:
    """Columns side by side: shape (rows, columns), in `dtype` or the one common to all.

    The memory order is a DataFrame's (a column is contiguous), because the order decides which
    BLAS kernel runs and with it the last bit of an answer.
    """
    arrays = [np.asarray(column) for column in columns.values()]
    wanted = np.result_type(*arrays) if dtype is None else np.dtype(dtype)
    table = np.empty((len(arrays), len(arrays[0])), dtype=wanted)
    with np.errstate(over="ignore", invalid="ignore"):
        for row, array in zip(table, arrays):
            row[:] = array
    return table.T


def check_names(expected: Iterable[str] | None, manifest: Manifest) -> None:
    """Stop where the model was fitted on other columns than its signature lists.

    A framework that is handed a DataFrame compares names at every request; handed an array it
    cannot, so it is done once. Raises ValueError.
    """
    names = column_names(manifest)
    if expected is None or names is None:
        return
    fitted = [str(name) for name in expected]
    if fitted != names:
        msg = (
            "the model was fitted on other columns than its signature lists, which only a "
            f"DataFrame can show it: fitted on {fitted}, signature {names}"
        )
        raise ValueError(msg)


def accept_nameless_arrays() -> None:
    """Hide the one warning that an array instead of a DataFrame brings (names were checked)."""
    warnings.filterwarnings(
        "ignore", message="X does not have valid feature names", category=UserWarning
    )


def is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    """Tell whether it is a DataFrame; pandas is not imported to tell."""
    pandas: Any = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)
