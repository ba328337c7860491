"""statsmodels results, pickled.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.statsmodels._StatsmodelsModelWrapper): a
time series is asked with one row that has `start` and `end`, anything else with the data alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.loaders import _serialized
from handlers.manifest import Manifest
from handlers.scoring.errors import INTERNAL_ERROR, ScoringError

if TYPE_CHECKING:
    import pandas as pd
    from statsmodels.base.model import Results

_SERIES = "statsmodels.tsa.base.tsa_model"


class _Predictor:
    def __init__(self, results: Results) -> None:
        self._results = results
        # unpickling a time series imports its module; no other model pays for it
        series = sys.modules.get(_SERIES)
        self._is_series = series is not None and isinstance(results.model, series.TimeSeriesModel)

    def predict(self, data: pd.DataFrame, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        if not self._is_series:
            return self._results.predict(data)
        if data.shape[0] != 1 or not {"start", "end"} <= set(data.columns):
            raise ScoringError(
                "Failed to predict data. \nError: a time series is asked with exactly one row "
                "that has columns called start and end",
                error_code=INTERNAL_ERROR,
            )
        return self._results.predict(start=data["start"][0], end=data["end"][0])


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises what unpickling raises; the file runs code, and is trusted as MLflow trusts it."""
    from statsmodels.iolib.smpickle import load_pickle

    path = _serialized.model_folder(manifest, folder) / manifest.options["file"]
    return _Predictor(load_pickle(str(path)))
