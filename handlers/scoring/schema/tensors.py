"""Tensor signatures: rank, fixed sizes and dtype must match; tables are shaped into tensors.

Source: mlflow/models/utils.py, https://github.com/mlflow/mlflow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from handlers.scoring.errors import FOREIGN, SchemaError
from handlers.scoring.schema.columns import Column, Table, check_widths
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import Name, Schema, TensorSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

NDArray: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_OBJECT = np.dtype(object)


def enforce_tensors(data: Any, schema: Schema, quirks: Quirks) -> NDArray | dict[str, NDArray]:
    """One ndarray for an unnamed tensor, a dict of them by name otherwise."""
    if not schema.named:
        return _enforce_unnamed(data, schema.tensors[0], quirks)
    if len(schema.tensors) == 1 and isinstance(data, np.ndarray):
        data = {schema.tensors[0].name: data}
    present = _list_names(data)
    if isinstance(data, Table):
        _check_labels(data, quirks)
    if any(spec.name not in present for spec in schema.tensors):
        raise _make_missing(present, schema)
    if isinstance(data, Table):
        if any(map(data.repeats, schema.by_name)):
            raise _make_unlabelled()
        return {str(s.name): _column(data.columns[s.name], s) for s in schema.tensors}
    return _check_arrays(data, schema)


def _list_names(data: object) -> Collection[Name]:
    if isinstance(data, Table):
        return data.columns
    return data if isinstance(data, dict) else ()


def _make_missing(present: Collection[Name], schema: Schema) -> SchemaError:
    missing = [spec.name for spec in schema.tensors if spec.name not in present]
    extra = [name for name in present if name not in schema.by_name]
    note = f"Note that there were extra inputs: {extra}." if extra else ""
    return SchemaError(f"Model is missing inputs {missing}.", detail=note)


def _check_arrays(data: Mapping[Name, object], schema: Schema) -> dict[str, NDArray]:
    made = {}
    for spec in schema.tensors:
        value = data[spec.name]
        if not isinstance(value, np.ndarray):
            raise SchemaError(
                "This model contains a tensor-based model signature with input names, which "
                "suggests a dictionary input mapping input name to a numpy array, but a dict with "
                f"value type {type(value)} was found."
            )
        made[str(spec.name)] = _check_shape(value, spec)
    return made


def _enforce_unnamed(data: object, spec: TensorSpec, quirks: Quirks) -> NDArray:
    if isinstance(data, np.ndarray):
        return _check_shape(data, spec)
    if not isinstance(data, Table):
        raise SchemaError(
            "This model contains a tensor-based model signature with no input names, which "
            "suggests a numpy array input or a pandas dataframe input with proper column values, "
            f"but an input of type {type(data)} was found."
        )
    if data.rows == 0 or not data.columns:
        raise SchemaError("Input DataFrame is empty.")
    columns = [column for _, column in data.every]
    if len(columns) == 1:
        _check_labels(data, quirks)
        return _column(columns[0], spec)
    if spec.shape != (-1, len(columns)):
        raise SchemaError(
            "This model contains a model signature with an unnamed input. Since the input data is "
            "a pandas DataFrame containing multiple columns, the input shape must be of the "
            "structure (-1, number_of_dataframe_columns). Instead, the input DataFrame passed had "
            f"{len(columns)} columns and an input shape of {spec.shape} with all values within the "
            "DataFrame of scalar type. Please adjust the passed in DataFrame to match the "
            "expected structure"
        )
    dtype = np.result_type(*(c.cells.dtype for c in columns))
    matrix = np.empty((data.rows, len(columns)), dtype=dtype)
    for i, column in enumerate(columns):
        matrix[:, i] = column.cells
    return _check_shape(matrix, spec)


def _check_labels(table: Table, quirks: Quirks) -> None:
    """MLflow looks at the row that is labelled 0, and fails where none is.

    Before pandas 3, 0 is the first row's position where no label is a number.
    """
    index = table.index
    by_position = not quirks.text_dtype and not all(type(label) is int for label in index or ())
    if index is not None and 0 not in index and not by_position:
        raise _make_unlabelled()


def _make_unlabelled() -> SchemaError:
    return SchemaError(FOREIGN, whole=lambda: "0")  # what a KeyError says of the label


def _check_shape(values: NDArray, spec: TensorSpec) -> NDArray:
    shape = spec.shape
    if shape == (-1,) and spec.dtype == _OBJECT:
        return values
    if len(shape) > 1 and -1 in shape[1:] and values.ndim == 1 and values.dtype == _OBJECT:
        return values  # ragged
    sizes = zip(shape, values.shape)
    if len(shape) != values.ndim or any(w not in {-1, h} for w, h in sizes):
        raise SchemaError(f"Shape of input {values.shape} does not match expected shape {shape}.")
    have = np.dtype(values.dtype.char) if values.dtype.char in "US" else values.dtype
    if have != spec.dtype:
        raise SchemaError(
            f"dtype of input {values.dtype} does not match expected dtype {spec.dtype}"
        )
    return values


def _make_misshapen(spec: TensorSpec, *, arrays: bool) -> str:
    ensure = (
        "Ensure that each of the input numpy array elements are of uniform length and can be "
        "reshaped to above expected shape."
        if arrays
        else "Ensure that each of the input list elements are of uniform length and that the data "
        f"can be coerced to the tensor type '{spec.dtype}'"
    )
    return (
        f"The value in the Input DataFrame column '{spec.name}' could not be converted to the "
        f"expected shape of: '{spec.shape}'. {ensure}"
    )


def _make_unfit(spec: TensorSpec) -> SchemaError:
    called = f"input {spec.name}" if spec.name else "the unnamed input"
    return SchemaError(
        "For pandas dataframe input, the first dimension of shape must be a variable "
        "dimension and other dimensions must be fixed, but in model signature the shape of "
        f"{called} is {spec.shape}."
    )


def _column(column: Column, spec: TensorSpec) -> NDArray:
    """A tensor of a table's column, whose cells are scalars or flat lists."""
    if spec.shape[0] != -1 or -1 in spec.shape[1:]:
        raise _make_unfit(spec)
    first = column.cells[0]
    if spec.dtype.kind in "US":
        check_widths(column.cells.tolist())
    if (
        np.isscalar(first) and column.cells.dtype.kind not in "mM"
    ):  # pandas' times are none to numpy
        if spec.shape not in {(-1,), (-1, 1)}:
            raise SchemaError(
                f"The input pandas dataframe column '{spec.name}' contains scalar values, which "
                "requires the shape to be (-1,) or (-1, 1), but got tensor spec shape of "
                f"{spec.shape}."
            )
        # as MLflow makes it, what pandas' own dtypes hold too: numpy's astype has another width for
        # empty texts
        held = np.array(column.cells if column.series is None else column.series, dtype=spec.dtype)
        return _check_shape(held.reshape(spec.shape), spec)
    if isinstance(first, np.ndarray):
        return _check_shape(_stack_cells(column, spec), spec)
    if not isinstance(first, list) or not np.isscalar(first[0]):
        raise SchemaError(
            "Because the model signature requires tensor spec input, the input pandas dataframe "
            "values should be either scalar value, python list containing scalar values or numpy "
            "array containing scalar values, other types are not supported."
        )
    return _stack_cells(column, spec)


def _stack_cells(column: Column, spec: TensorSpec) -> NDArray:
    """Lists are cast to the tensor's dtype; arrays have one of their own."""
    arrays = isinstance(column.cells[0], np.ndarray)
    try:
        made = np.vstack(column.cells.tolist()).reshape(spec.shape)
        made = made if arrays else made.astype(spec.dtype)
    except ValueError as error:
        raise SchemaError(_make_misshapen(spec, arrays=arrays)) from error
    if len(made) != len(column.cells):
        raise SchemaError(_make_misshapen(spec, arrays=arrays))
    return made
