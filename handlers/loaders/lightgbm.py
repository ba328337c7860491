"""LightGBM: a Booster from its text file, or a scikit-learn class from skops or a pickle.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.lightgbm._LGBModelWrapper): `predict` with
the data alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from lightgbm import Booster, LGBMModel

_BOOSTER = "lightgbm.basic.Booster"


class _Predictor:
    def __init__(self, model: Booster | LGBMModel, *, columns: bool) -> None:
        self._model = model
        self._columns = columns

    def predict(self, data: Any, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        return self._model.predict(_table(data) if self._columns else data)


def _table(columns: Mapping[Any, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """In the precision that LightGBM gives a DataFrame: single where no column needs double.

    Raises ValueError for no rows, which LightGBM refuses in a DataFrame and passes in an array.
    """
    if not all(column.size for column in columns.values()):
        raise ValueError("Input data must be 2 dimensional and non empty.")
    common = np.result_type(np.float32, *(column.dtype for column in columns.values()))
    return _inputs.stack_columns(columns, common if common == np.float32 else np.float64)


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises lightgbm.basic.LightGBMError for a file that it cannot read."""
    import lightgbm

    options = manifest.options
    path = _serialized.model_folder(manifest, folder) / options["file"]
    columns = _inputs.gets_columns(manifest)
    if options["model_class"] == _BOOSTER:
        return _Predictor(lightgbm.Booster(model_file=str(path)), columns=columns)
    model = _serialized.load(path, options["format"], options.get("trusted", ()))
    if columns:
        _inputs.accept_nameless_arrays()
    return _Predictor(model, columns=columns)
