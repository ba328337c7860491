"""spaCy pipelines with a text categorizer.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.spacy._SpacyModelWrapper): the categories
of each text in the only column. Without pandas they come as records, which read the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest
from handlers.scoring.errors import INTERNAL_ERROR, ScoringError

if TYPE_CHECKING:
    from spacy.language import Language


class _Predictor:
    def __init__(self, pipeline: Language, *, columns: bool) -> None:
        self._pipeline = pipeline
        self._columns = columns

    def predict(self, data: Any, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        names = list(data) if self._columns else list(data.columns)
        if len(names) != 1:
            raise ScoringError(
                "Failed to predict data. \nError: Shape of input dataframe must be "
                "(n_rows, 1column)",
                error_code=INTERNAL_ERROR,
            )
        if self._columns:
            return [{"predictions": self._categories(text)} for text in data[names[0]]]
        import pandas as pd

        return pd.DataFrame({"predictions": data.iloc[:, 0].apply(self._categories)})

    def _categories(self, text: str) -> dict[str, float]:
        categories: dict[str, float] = self._pipeline(text).cats
        return categories


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises OSError or ValueError for a folder that spaCy cannot read."""
    import spacy

    path = _serialized.model_folder(manifest, folder) / manifest.options["folder"]
    return _Predictor(spacy.load(path), columns=_inputs.gets_columns(manifest))
