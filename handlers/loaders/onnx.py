"""ONNX graphs on onnxruntime; the `onnx` package is not needed.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.onnx._OnnxModelWrapper): arrays in, a dict
of arrays out; columns in, flat columns out. Without pandas those columns come as records, which
read the same in an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from handlers.loaders import _inputs, _sessions
from handlers.manifest import Manifest
from handlers.values import zip_equal

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class _Predictor:
    def __init__(self, session: InferenceSession, *, columns: bool) -> None:
        self._session = session
        self._types = {entry.name: entry.type for entry in session.get_inputs()}
        self._outputs = [entry.name for entry in session.get_outputs()]
        self._columns = columns

    def find_device(self) -> str:
        return _sessions.find_device(self._session)

    def predict(self, data: Any, params: dict[str, object] | None) -> object:  # noqa: ARG002 - as MLflow
        feeds = self._feeds(data)
        for name, kind in self._types.items():
            feed = feeds.get(name)
            if kind == "tensor(float)" and feed is not None and feed.dtype == np.float64:
                feeds[name] = feed.astype(np.float32)
        answers = self._session.run(self._outputs, feeds)
        if self._columns:
            return _records(self._flat(answers))
        if _inputs.is_frame(data):
            import pandas as pd

            return pd.DataFrame(self._flat(answers))
        return dict(zip_equal(self._outputs, answers))

    def _feeds(self, data: Any) -> dict[str, Any]:
        only = next(iter(self._types))
        if self._columns:
            return dict(data) if len(self._types) > 1 else {only: _values(data)}
        if isinstance(data, dict):
            return dict(data)
        if isinstance(data, np.ndarray):
            if len(self._types) != 1:
                msg = f"one array cannot feed {len(self._types)} inputs: {', '.join(self._types)}"
                raise ValueError(msg)
            return {only: data}
        if _inputs.is_frame(data):
            if len(self._types) > 1:
                return {name: data[name].to_numpy() for name in self._types}
            return {only: data.to_numpy()}
        msg = f"the model takes columns or arrays, not {type(data).__name__}"
        raise TypeError(msg)

    def _flat(self, answers: list[object]) -> dict[str, npt.NDArray[Any]]:
        return {
            name: np.asarray(answer).reshape(-1)
            for name, answer in zip_equal(self._outputs, answers)
        }


def _values(columns: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[Any]:
    """As DataFrame.to_numpy: booleans beside numbers have no dtype in common but object."""
    kinds = {column.dtype.kind for column in columns.values()}
    mixed = "b" in kinds and len(kinds) > 1
    return _inputs.stack_columns(columns, "object" if mixed else None)


def _records(columns: Mapping[str, npt.NDArray[np.generic]]) -> list[dict[str, object]]:
    """One dict a row. Raises ValueError where columns differ in length, as a DataFrame does."""
    if len({len(column) for column in columns.values()}) > 1:
        msg = "All arrays must be of the same length"
        raise ValueError(msg)
    rows = zip(*(column.tolist() for column in columns.values()))
    return [dict(zip(columns, row)) for row in rows]


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises onnxruntime's own errors for a graph that it cannot read."""
    import onnxruntime

    options = manifest.options
    session = onnxruntime.InferenceSession(
        str(folder / manifest.model_path / options["file"]),
        providers=_sessions.providers(onnxruntime, options.get("providers", ())),
        sess_options=_sessions.options(onnxruntime, options.get("session_options", {})),
    )
    return _Predictor(session, columns=_inputs.gets_columns(manifest))
