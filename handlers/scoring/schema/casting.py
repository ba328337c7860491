"""The first of two typings: what MLflow's server casts while it reads a body.

It is lossy on purpose of theirs (1.9 becomes 1, null becomes False): the second, strict typing in
`handlers.scoring.schema.enforcement` sees what this leaves. Source:
mlflow/utils/proto_json_utils.py, https://github.com/mlflow/mlflow.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from handlers.scoring.errors import (
    DATA_ERRORS,
    FOREIGN,
    InvalidInputError,
    ScoringError,
    TooLargeError,
)
from handlers.scoring.schema import np
from handlers.scoring.schema.columns import Cells, Column, Table, infer, objects
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import (
    BINARY,
    BOOLEAN,
    DATETIME,
    STRING,
    AnyType,
    DataType,
    Name,
    Schema,
    TensorSpec,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class IntCastingNaNError(ValueError):
    """pandas' own, by its name and words, which MLflow's messages repeat."""

    def __init__(self) -> None:
        super().__init__(
            "Cannot convert non-finite values (NA or inf) to integer. Replace or remove non-finite "
            "values or cast to an integer type that supports these values (e.g. 'Int64')"
        )


def cast_table(table: Table, schema: Schema, quirks: Quirks) -> None:
    """Cast in place, each column to the type that the signature gives it.

    Raises InvalidInputError for the first value that cannot be cast.
    """
    if schema.tensors:
        _cast_tensors(table, schema, quirks)
        return
    if schema.named:
        pairs: list[tuple[Name, Any]] = [(spec.name, spec) for spec in schema.columns]
    else:
        names = [name for name, _ in table.every]
        pairs = list(zip(names, schema.columns))
    alone = _cast_alone(quirks)
    for name, spec in pairs:
        wanted, column = spec.type, table.columns.get(name)
        if column is None:
            continue
        if not table.places and isinstance(wanted, DataType) and column.fits(wanted):
            continue
        cast = partial(_cast_column, wanted=wanted, required=spec.required, quirks=quirks)
        _cast_name(table, name, wanted, cast, alone=wanted in alone)


def _cast_name(
    table: Table,
    name: Name,
    wanted: Type | np.dtype[np.generic],
    cast: Callable[[Column], Column],
    *,
    alone: bool,
) -> None:
    """Cast every column of a name. Raises InvalidInputError; `alone` for a second one too."""
    column = table.columns[name]
    given, places = table.given or [], table.places.get(name, ())
    try:
        if alone and len(places) > 1:
            raise AttributeError("'DataFrame' object has no attribute 'dtype'")
        for at in places:
            column = given[at][1]
            given[at] = (name, cast(column))
        table.columns[name] = given[places[-1]][1] if places else cast(column)
    except TooLargeError:
        raise
    except (*DATA_ERRORS, ScoringError) as error:
        raise _make_refusal(name, wanted, error, column) from error


def _cast_alone(quirks: Quirks) -> tuple[DataType, ...]:
    """The types of which there must be one column a name."""
    if quirks.cast_in_place:
        return (BINARY,)
    return (STRING, DATETIME) if quirks.text_dtype else (STRING, BINARY, DATETIME)


def _make_refusal(
    name: Name, wanted: Type | np.dtype[np.generic], error: Exception, column: Column
) -> InvalidInputError:
    told: object = wanted
    if isinstance(wanted, DataType):
        told = object if wanted.dtype == object else wanted.dtype
    said = (
        "Data is not compatible with model signature. "
        f"Failed to convert column {name} to type '{told}'."
    )
    whole = partial(_word_failure, said, error, column, told)
    return InvalidInputError(said, whole=whole)


def _word_failure(said: str, error: Exception, column: Column, wanted: object) -> str:
    """With what pandas says of the column, where it is loaded: it names another cell, perhaps."""
    pandas = sys.modules.get("pandas")
    if isinstance(error, ScoringError):
        foreign = error.message == FOREIGN and error.__cause__ is not None
        name = type(error.__cause__).__name__ if foreign else "MlflowException"
        return f"{said} Error: '{name}({error.get_whole()()!r})'"
    if pandas is not None and isinstance(wanted, np.dtype) and wanted.kind != "M":
        try:
            pandas.Series(column.cells, dtype="str" if column.text else None).astype(wanted)
        except DATA_ERRORS as pandas_error:
            error = pandas_error
    return f"{said} Error: '{error!r}'"


def _cast_column(column: Column, wanted: Type, *, required: bool, quirks: Quirks) -> Column:
    if isinstance(wanted, DataType):
        return _cast_scalars(column, wanted, quirks)
    if isinstance(wanted, AnyType):
        return column
    from handlers.scoring.schema.nested import enforce_value

    cells = [enforce_value(v, wanted, required=required, quirks=quirks) for v in column.values()]
    return infer(cells, quirks)


def _cast_scalars(column: Column, wanted: DataType, quirks: Quirks) -> Column:
    values = column.cells
    if wanted is STRING:
        return column if column.text else Column(values.astype(object))
    if wanted is BINARY:
        return Column(objects((_decode_base64(v) for v in values), len(values)))
    if wanted is DATETIME:
        from handlers.scoring.schema.times import parse_times

        return parse_times(column, quirks)
    if values.dtype == wanted.dtype:
        return column
    if wanted is BOOLEAN and not quirks.null_is_false and values.dtype == object:
        return _is_nullable(column)
    if wanted.dtype.kind == "i" and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise IntCastingNaNError
    with np.errstate(invalid="ignore", over="ignore"):
        return Column(values.astype(wanted.dtype))


def _is_nullable(column: Column) -> Column:
    if not any(v is None for v in column.cells):
        return Column(column.cells.astype(np.bool_))
    cells = (None if v is None else bool(v) for v in column.cells)
    return Column(objects(cells, len(column.cells)))


def _decode_base64(text: Any) -> bytes:
    import binascii

    return binascii.a2b_base64(bytes(text, "utf8"))  # what it says of no text is MLflow's message


def _cast_tensors(table: Table, schema: Schema, quirks: Quirks) -> None:
    by_name: dict[Name, TensorSpec]
    if schema.named:
        by_name = {spec.name: spec for spec in schema.tensors}
    else:
        by_name = dict.fromkeys(table.columns, schema.tensors[0])
    kinds = "S" if quirks.cast_in_place else "OUS"
    for name, spec in by_name.items():
        if name in table.columns:
            cast = partial(_cast_tensor_column, dtype=spec.dtype)
            _cast_name(table, name, spec.dtype, cast, alone=spec.dtype.kind in kinds)


def _cast_tensor_column(column: Column, dtype: np.dtype[np.generic]) -> Column:
    values = column.cells
    if not len(values):
        raise IndexError("single positional indexer is out-of-bounds")
    if dtype == np.dtype(bytes):
        return _encode_texts(values)
    if isinstance(values[0], list):
        return column  # shaped and typed with the tensor's own spec, later
    if dtype.kind == "U" and not column.text:
        return Column(objects(map(str, values.tolist()), len(values)))
    if column.text and dtype.kind in "OU":
        return column
    if dtype.kind in "mM" and (pandas := sys.modules.get("pandas")) is not None:
        series = pandas.Series(values, dtype="str" if column.text else values.dtype)
        return Column(series.astype(dtype).to_numpy())
    return _cast_numbers(values, dtype)


def _encode_texts(values: Cells) -> Column:
    return Column(objects((bytes(v, "utf8") for v in values), len(values)))


def _cast_numbers(values: Cells, dtype: np.dtype[np.generic]) -> Column:
    if dtype.kind in "iu" and values.dtype.kind == "f":
        _check_integers(values, dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        return Column(values.astype(dtype))


def _check_integers(values: Cells, dtype: np.dtype[np.generic]) -> None:
    """Raises IntCastingNaNError or ValueError for floats that pandas makes no integers of."""
    if not np.isfinite(values).all():
        raise IntCastingNaNError
    if dtype.kind == "u" and (values < 0).any():
        raise ValueError(f"Cannot losslessly cast from {values.dtype} to {dtype}")
