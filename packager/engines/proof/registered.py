"""The registered model as MLflow serves it, asked with tables of an engine's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from packager.engines.proof import test_rows
from packager.engines.proof.inputs import Column, Inputs, RefusedError
from packager.engines.proof.test_rows import Table

_WRAPPED = ("sklearn_model", "xgb_model", "lgb_model", "cb_model")
"""Attributes of MLflow's own wrappers that hold the model.

https://github.com/mlflow/mlflow, `_SklearnModelWrapper`, `_XGBModelWrapper` and the others
"""


class Registered:
    """The model as MLflow serves it, asked with tables of our own."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs
        self._schema = theirs.metadata.get_input_schema()
        self.inputs = read_inputs(self._schema)
        self.names: list[str] | None = None
        """Of the answer's columns, where the model answers with a table."""
        self.model = read_raw_model(theirs)
        conf = theirs.metadata.flavors["python_function"]
        self.loader_module = str(conf.get("loader_module"))
        self.method = str(conf.get("predict_fn") or "predict")

    def predict(self, table: Table) -> Any:
        if self.inputs.columns:
            named = self._schema.has_input_names()
            data: Any = pd.DataFrame({n if named else int(n): each for n, each in table.items()})
        else:
            stacked = test_rows.stack_columns(table, self.inputs)
            data = {self.inputs.tensor: stacked} if self.inputs.tensor else stacked
        answer = self._theirs.predict(data)
        if isinstance(answer, (pd.Series, pd.DataFrame)):
            answer = pd.DataFrame(answer)
            self.names = [str(name) for name in answer.columns]
            if len(set(answer.dtypes)) != 1:
                raise RefusedError("the model answers with a table of several types")
            answer = answer.to_numpy()
        if not isinstance(answer, np.ndarray):
            raise RefusedError(f"the model answers with a {type(answer).__name__}")
        return answer

    def table(self, columns: Mapping[str, list[object]]) -> Table:
        """JSON values as the arrays that the signature makes of them."""
        if not self.inputs.columns:
            (only,) = columns.values()
            cells = np.array(only, dtype=self._schema.inputs[0].type)
            matrix = cells.reshape(len(cells), -1)
            return {str(at): matrix[:, at] for at in range(matrix.shape[1])}
        return {
            column.name: np.array(
                [_missing(value, column.type) for value in columns[column.name]],
                dtype=test_rows.DTYPES[column.type],
            )
            for column in self.inputs.columns
        }


def read_raw_model(theirs: Any) -> object:
    """Return the framework's own object; MLflow before 2.14 has it in a wrapper, or as it is."""
    if hasattr(theirs, "get_raw_model"):
        return theirs.get_raw_model()
    inner = theirs._model_impl
    return next((getattr(inner, name) for name in _WRAPPED if hasattr(inner, name)), inner)


def read_inputs(schema: Any) -> Inputs:
    """Raises RefusedError for what is neither scalar columns nor one array of numbers."""
    if schema is None:
        raise RefusedError("the model has no signature")
    if schema.is_tensor_spec():
        (spec,) = schema.inputs if len(schema.inputs) == 1 else (None,)
        tail = () if spec is None else tuple(int(length) for length in spec.shape[1:])
        if spec is None or not tail or min(tail) < 1 or spec.type.kind not in "fiu":
            raise RefusedError(
                "a tensor signature other than one array of numbers whose first axis alone is open"
            )
        return Inputs(tensor=spec.name, tail=tail, dtype=spec.type.name)
    columns = []
    for at, spec in enumerate(schema.inputs):
        kind = str(getattr(spec.type, "name", spec.type))
        if kind not in test_rows.DTYPES:
            raise RefusedError(f"a column of type {kind}")
        columns.append(Column(str(at) if spec.name is None else str(spec.name), kind))
    return Inputs(columns=tuple(columns))


def _missing(value: object, kind: str) -> object:
    return math.nan if value is None and kind in {"double", "float"} else value
