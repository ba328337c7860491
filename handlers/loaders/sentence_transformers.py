"""Sentence Transformers: texts to vectors.

Answers as MLflow's pyfunc wrapper of the flavor
(mlflow.sentence_transformers._SentenceTransformerModelWrapper): the texts of the first column; in
the form of an embeddings service where the model was logged with that task and is asked by `input`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest
from handlers.scoring.errors import INVALID_PARAMETER_VALUE, ScoringError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentence_transformers import SentenceTransformer


class _Predictor:
    def __init__(self, model: SentenceTransformer, task: str | None) -> None:
        self._model = model
        self._task = task

    def find_device(self) -> str:
        return str(self._model.device)

    def with_weights(
        self, change: Callable[[SentenceTransformer], SentenceTransformer]
    ) -> _Predictor:
        """A predictor over the model that `change` gives; this one stays as it is."""
        return _Predictor(change(self._model), self._task)

    def predict(self, data: Any, params: dict[str, object] | None) -> object:
        as_service = False
        if _inputs.is_frame(data):
            as_service = bool(self._task) and data.columns[0] == "input"
            data = data.iloc[:, 0].tolist()
            if data and isinstance(data[0], list):
                data = data[0]
        try:
            vectors = self._model.encode(data, **(params or {}))
        except TypeError as error:
            if not params:
                raise
            raise ScoringError(
                "Failed to predict data. \nError: Received invalid parameter value for `params` "
                "argument",
                error_code=INVALID_PARAMETER_VALUE,
            ) from error
        return self._make_response(data, vectors) if as_service else vectors

    def _make_response(self, texts: list[str], vectors: Iterable[object]) -> dict[str, object]:
        tokens = sum(len(self._model.tokenizer(text)["input_ids"]) for text in texts)
        data = [
            {"object": "embedding", "index": at, "embedding": vector}
            for at, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "usage": usage}


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises OSError or ValueError for a folder that it cannot read.

    Code that lies in the model's folder may run, as in MLflow: it was logged with the model.
    """
    import sentence_transformers

    options = manifest.options
    path = _serialized.model_folder(manifest, folder) / options["folder"]
    device = os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE") or None
    model = sentence_transformers.SentenceTransformer(
        str(path), trust_remote_code=True, device=device
    )
    return _Predictor(model, options.get("task"))
