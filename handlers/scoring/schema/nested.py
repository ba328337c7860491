"""Arrays, objects, maps and anything, cell by cell.

Source: mlflow/models/utils.py, https://github.com/mlflow/mlflow. An array's or a property's scalars
pass through the same strict typing as a column of them.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from handlers.scoring.errors import FOREIGN, SchemaError
from handlers.scoring.schema.columns import Cells, Column, check_widths, from_array, infer
from handlers.scoring.schema.enforcement import enforce_scalars
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import (
    DATETIME,
    STRING,
    AnyType,
    Array,
    DataType,
    Map,
    Object,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def enforce_value(data: object, wanted: Type, *, required: bool, quirks: Quirks) -> Any:
    """`data` with its scalars as numpy has them. Raises SchemaError for what does not fit."""
    if isinstance(wanted, DataType):
        return _enforce_scalar(data, wanted, required=required, quirks=quirks)
    if isinstance(wanted, Array):
        return _enforce_list(data, wanted, required=required, quirks=quirks)
    if isinstance(wanted, Object):
        return _enforce_object(data, wanted, required=required, quirks=quirks)
    if isinstance(wanted, Map):
        return _enforce_map(data, wanted, required=required, quirks=quirks)
    return data


def _enforce_scalar(data: object, wanted: DataType, *, required: bool, quirks: Quirks) -> object:
    if not required and (data is None or (isinstance(data, float) and data != data)):  # noqa: PLR0124  NaN
        return None
    if not np.isscalar(data):
        raise SchemaError(f"Expected data to be scalar, got {type(data).__name__}")
    try:
        return enforce_scalars("", infer([data], quirks), wanted, quirks).cells[0]
    except SchemaError as error:
        raise SchemaError(
            f"Failed to enforce schema of data with dtype `{wanted}`",
            whole=lambda: f"Failed to enforce schema of data `{data!s}` with dtype `{wanted}`",
        ) from error


def _enforce_list(data: object, wanted: Array, *, required: bool, quirks: Quirks) -> object:
    empty = data is None or (isinstance(data, (list, np.ndarray)) and len(data) == 0)
    if empty and (not required or isinstance(wanted.items, AnyType)):
        return data
    if not isinstance(data, (list, np.ndarray)):
        raise SchemaError(f"Expected data to be list or numpy array, got {type(data).__name__}")
    if not isinstance(wanted.items, DataType):
        return _enforce_each(data, wanted.items, required=required, quirks=quirks)
    if len(data) == 0:
        return data
    if isinstance(data, np.ndarray):
        return _enforce_array(data, wanted.items, quirks)
    return _enforce_cells(data, wanted.items, quirks)


def _enforce_each(
    data: list[object] | np.ndarray, wanted: Type, *, required: bool, quirks: Quirks
) -> object:
    cells = [enforce_value(v, wanted, required=required, quirks=quirks) for v in data]
    return np.array(cells) if isinstance(data, np.ndarray) else cells


def _enforce_cells(data: list[object], wanted: DataType, quirks: Quirks) -> object:
    made = enforce_scalars("", infer(data, quirks), wanted, quirks)
    if wanted is STRING and all(map(_is_text, made.cells)):
        return [text.rstrip("\0") for text in made.cells]  # as an array of text would have it
    return _as_array(made, wanted).tolist()


def _enforce_array(data: Cells, items: DataType, quirks: Quirks) -> Cells:
    if data.ndim != 1:
        said = _word_dimensions(data, items, quirks)
        raise SchemaError(FOREIGN, whole=partial(str, said))
    return _as_array(enforce_scalars("", from_array(data, quirks), items, quirks), items)


def _word_dimensions(data: Cells, items: DataType, quirks: Quirks) -> str:
    """As pandas says it, of text and times otherwise than of numbers."""
    if data.dtype.kind == "U" and quirks.text_dtype:
        return "only handle 1-dimensional arrays"
    if data.dtype == object and items is DATETIME:
        return f"Buffer has wrong number of dimensions (expected 1, got {data.ndim})"
    return f"Data must be 1-dimensional, got ndarray of shape {data.shape} instead"


def _is_text(value: object) -> bool:
    return type(value) is str


def _as_array(column: Column, wanted: DataType) -> Cells:
    """Raises TooLargeError for texts of very different lengths."""
    if wanted.array_dtype.kind in "US":
        check_widths(column.cells.tolist())
    null = column.text and not all(isinstance(v, str) for v in column.cells)
    if null and wanted.array_dtype.kind in "US":
        # pandas 3 fills an array of one character a text as soon as one of them is null
        return column.cells.astype(wanted.array_dtype).astype(f"{wanted.array_dtype.kind}1")
    return column.cells.astype(wanted.array_dtype)


def _enforce_object(data: object, wanted: Object, *, required: bool, quirks: Quirks) -> object:
    if not required and (data is None or data == {}):
        return data
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise SchemaError(
            f"Failed to enforce schema with type '{wanted}'. "
            f"Expected data to be dictionary, got {kind}",
            whole=lambda: (
                f"Failed to enforce schema of '{data}' with type '{wanted}'. "
                f"Expected data to be dictionary, got {kind}"
            ),
        )
    missing = [n for n, p in wanted.properties.items() if p.required and n not in data]
    if missing:
        raise SchemaError(f"Missing required properties: {{{', '.join(map(repr, missing))}}}")
    if invalid := data.keys() - wanted.properties.keys():
        said = "Invalid properties not defined in the schema found"
        raise SchemaError(said, whole=lambda: f"{said}: {invalid}")
    made = {}
    for name, value in data.items():
        inner = wanted.properties[name]
        try:
            made[name] = enforce_value(value, inner.type, required=inner.required, quirks=quirks)
        except SchemaError as error:
            raise SchemaError(
                f"Failed to enforce schema for key `{name}`. "
                f"Expected type {_name_kind(inner.type)}, received type {type(value).__name__}"
            ) from error
    return made


def _name_kind(wanted: Type) -> str:
    """Return what the signature's JSON has under `type`."""
    if isinstance(wanted, DataType):
        return wanted.name
    return "sparkml_vector" if getattr(wanted, "vector", False) else type(wanted).__name__.lower()


def _enforce_map(data: object, wanted: Map, *, required: bool, quirks: Quirks) -> object:
    if (not required or isinstance(wanted.values, AnyType)) and (data is None or data == {}):
        return data
    if not isinstance(data, dict):
        raise SchemaError(f"Expected data to be a dict, got {type(data).__name__}")
    return {
        key: enforce_value(value, wanted.values, required=required, quirks=quirks)
        for key, value in data.items()
    }
