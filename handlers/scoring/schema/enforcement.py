"""The second, strict typing: what MLflow checks between a parsed request and the model.

Source: mlflow/models/utils.py, https://github.com/mlflow/mlflow. Only conversions that lose nothing
are made; all others are refused with SchemaError.
"""

from __future__ import annotations

import sys
from functools import partial

from handlers.scoring.errors import (
    DATA_ERRORS,
    FOREIGN,
    NO_FRAME,
    SchemaError,
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
    DOUBLE,
    STRING,
    AnyType,
    ColumnSpec,
    DataType,
    Name,
    Schema,
    Type,
)
from handlers.scoring.schema.tables import from_dict, from_matrix, from_records

_NO_TIME = (bool, bytes, list, dict, np.ndarray)
_NAIVE = (
    "Please ensure that the input data of datetime column only contains timezone-naive datetime "
    "objects."
)
_AWARE = (
    "Error: Cannot use .astype to convert from timezone-aware dtype to timezone-naive dtype. Use "
    "obj.tz_localize(None) or obj.tz_convert('UTC').tz_localize(None) instead."
)
_MISSING_VALUES = (
    " Hint: the type mismatch is likely caused by missing values. Integer columns in python can "
    "not represent missing values and are therefore encoded as floats. The best way to avoid this "
    "problem is to infer the model schema based on a realistic data sample (training dataset) that "
    "includes missing values. Alternatively, you can declare integer columns as doubles (float64) "
    "whenever these columns may have missing values. See `Handling Integers With Missing Values "
    "<https://www.mlflow.org/docs/latest/models.html#handling-integers-with-missing-values>`_ for "
    "more details."
)


def enforce(data: object, schema: Schema, quirks: Quirks, *, schema_details: bool) -> object:
    """`data` as the signature wants it: a Table, or for tensors an ndarray or a dict of them.

    `data` is what the parser made: a Table, an ndarray, a dict, a list or a scalar. Raises
    SchemaError whatever is wrong with it.
    """
    try:
        if schema.tensors:
            from handlers.scoring.schema.tensors import enforce_tensors

            return enforce_tensors(data, schema, quirks)
        return _enforce_columns(_table(data, schema, quirks), schema, quirks)
    except TooLargeError:
        raise
    except ScoringError as error:
        message, whole = error.message, error.get_whole()
    except DATA_ERRORS as error:
        message, whole = FOREIGN, partial(str, error)
    if not schema_details:
        raise SchemaError("Failed to enforce model input schema. Please check your input data.")
    raise SchemaError(
        f"Failed to enforce schema of data with schema '{schema}'. Error: {message}",
        whole=lambda: (
            f"Failed to enforce schema of data{quote_data(data)} with schema '{schema}'. "
            f"Error: {whole()}"
        ),
    )


def quote_data(data: object) -> str:
    """As MLflow's messages quote what was sent; nothing of a table that cannot be shown so."""
    if not isinstance(data, Table):
        return f" '{data}'"
    aware = any(column.aware for _, column in data.every)  # kept as text
    if "pandas" not in sys.modules or aware:
        return ""
    from handlers.scoring.schema.frames import to_dataframe

    try:
        return f" '{to_dataframe(data)}'"
    except (ValueError, TypeError):  # a lone surrogate is no text of pyarrow's
        return ""


def _is_scalar(value: object) -> bool:
    return value is None or bool(np.isscalar(value))


def _table(data: object, schema: Schema, quirks: Quirks) -> Table:
    if isinstance(data, Table):
        return data
    if isinstance(data, dict):
        return _table_of_dict(data, schema, quirks)
    if isinstance(data, np.ndarray):
        return from_matrix(data, quirks)
    if isinstance(data, list):
        return from_records(data, (), quirks)
    if np.isscalar(data):
        return from_records([data], (), quirks)
    raise SchemaError(f"Expected input to be DataFrame. Found: {type(data).__name__}")


def _table_of_dict(data: dict[str, object], schema: Schema, quirks: Quirks) -> Table:
    """One row where the values read as one row's cells, columns otherwise."""
    nested = _has_nested(schema)
    cells = all(
        _is_scalar(value) or (isinstance(value, list) and all(isinstance(v, str) for v in value))
        for value in data.values()
    )
    texts = all(
        isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.shape == ()
        for value in data.values()
    )
    if nested or cells:
        return from_records([data], (), quirks)
    try:
        return from_records([data], (), quirks) if texts else from_dict(data, quirks)
    except DATA_ERRORS as error:
        raise SchemaError(NO_FRAME, whole=partial("{} {}".format, NO_FRAME, error)) from error


def _has_nested(schema: Schema) -> bool:
    return any(
        not isinstance(s.type, DataType) and s.type.__class__.__name__ in {"Array", "Object"}
        for s in schema.columns
    )


def _pair_columns(table: Table, schema: Schema) -> list[tuple[Name, ColumnSpec]]:
    """The table's columns with their specs: by name, or by place where the specs have none."""
    if not schema.named:
        names: list[Name] = list(table.columns)
        if len(names) < len(schema.columns):
            raise SchemaError(
                "Model inference is missing inputs. The model signature declares "
                f"{len(schema.columns)} inputs  but the provided value only has {len(names)} "
                "inputs. Note: the inputs were not named in the signature so we can only verify "
                "their count."
            )
        return list(zip(names, schema.columns))
    missing = [name for name in schema.required if name not in table.columns]
    if missing:
        extra = [name for name in table.columns if name not in schema.by_name]
        note = f" Note that there were extra inputs: {extra}." if extra else ""
        raise SchemaError(f"Model is missing inputs {missing}.", detail=note.strip())
    return [(spec.name, spec) for spec in schema.columns if spec.name in table.columns]


def _enforce_columns(table: Table, schema: Schema, quirks: Quirks) -> Table:
    pairs = _pair_columns(table, schema)
    made: dict[Name, Column] = {}
    for name, spec in pairs:
        if table.repeats(name):
            if not isinstance(spec.type, DataType):  # of a table MLflow looks at the names
                _enforce_type(name, Column(objects([name], 1)), spec.type, spec.required, quirks)
            said = "'DataFrame' object has no attribute 'dtype'"
            raise SchemaError(FOREIGN, whole=partial(str, said))
        column, wanted = table.columns[name], spec.type
        if isinstance(wanted, DataType) and column.fits(wanted):
            made[name] = column
        else:
            made[name] = _enforce_type(name, column, wanted, spec.required, quirks)
    if not made:  # every column is optional and none was sent
        return Table({}, 0)
    nested = quirks.index_is_lost and not any(isinstance(s.type, DataType) for _, s in pairs)
    return Table(made, table.rows, None if nested else table.index)


def _enforce_type(
    name: Name,
    column: Column,
    wanted: Type,
    required: bool,  # noqa: FBT001  passed on by position for speed
    quirks: Quirks,
) -> Column:
    if isinstance(wanted, DataType):
        return enforce_scalars(name, column, wanted, quirks)
    if isinstance(wanted, AnyType) and column.series is not None:
        from handlers.scoring.schema.frames import infer_column

        return infer_column(column.series)
    if isinstance(wanted, AnyType) and (column.aware or column.cells.dtype.kind in "mM"):
        # pandas 2 reads the cells again, as nanoseconds
        if quirks.text_dtype or column.aware or column.cells.dtype.kind == "m":
            return column
        from handlers.scoring.schema.times import to_nanoseconds

        return Column(to_nanoseconds(column.cells))
    from handlers.scoring.schema.nested import enforce_value

    cells = [enforce_value(v, wanted, required=required, quirks=quirks) for v in column.values()]
    return infer(cells, quirks)


def enforce_scalars(name: Name, column: Column, wanted: DataType, quirks: Quirks) -> Column:
    """`column` itself or a lossless conversion of it; raises SchemaError otherwise."""
    if column.series is not None:
        return _enforce_extension(name, column, wanted)
    values = column.cells
    if not column.text:
        if values.dtype == wanted.dtype and values.dtype != object:
            return column
        if values.dtype == object and wanted is not BINARY and wanted is not STRING:
            column = _infer_kind(column, quirks)
            values = column.cells
    kept = _keep_column(name, column, wanted)
    if kept is not None:
        return kept
    if not column.text and values.dtype != object and _can_widen(values, wanted.dtype):
        return Column(values.astype(wanted.dtype))
    raise _make_incompatible(name, column, wanted)


def _can_widen(values: Cells, wanted: np.dtype[np.generic]) -> bool:
    if _is_widening(values.dtype, wanted):
        return True
    return values.dtype == np.int64 and wanted.kind == "f" and bool(np.isin(values, (0, 1)).all())


def _make_incompatible(name: Name, column: Column, wanted: DataType) -> SchemaError:
    return SchemaError(
        f"Incompatible input types for column {name}. "
        f"Can not safely convert {column.dtype_name} to {wanted.array_dtype}."
        f"{_hint(column, wanted)}"
    )


def _enforce_extension(name: Name, column: Column, wanted: DataType) -> Column:
    """A dtype of pandas' own, by its kind and size as numpy's are."""
    if column.aware and wanted is DATETIME:
        raise SchemaError(_NAIVE, detail=_AWARE)
    if column.text and (wanted is STRING or wanted is BINARY):
        return column
    have = getattr(column.series.dtype, "numpy_dtype", None)
    if have is None or not _is_widening(have, wanted.dtype):
        raise _make_incompatible(name, column, wanted)
    try:
        return Column(column.series.astype(wanted.dtype).to_numpy())
    except (ValueError, TypeError) as error:  # no null in an integer
        raise SchemaError(FOREIGN, whole=partial(str, error)) from error


def _hint(column: Column, wanted: DataType) -> str:
    """Return the hint of MLflow's message for whole numbers that null made into floats."""
    values = column.cells
    if column.text or values.dtype != np.float64 or wanted.dtype.kind != "i":
        return ""
    present = values[~np.isnan(values)]
    if len(present) == len(values) or not (present == np.floor(present)).all():
        return ""
    return _MISSING_VALUES


def _keep_times(name: Name, column: Column, wanted: DataType) -> Column | None:
    if column.aware:
        raise SchemaError(_NAIVE, detail=_AWARE)
    if column.cells.dtype.kind not in "MO":
        return None
    return _enforce_times(name, column.cells, wanted)


def _keep_column(name: Name, column: Column, wanted: DataType) -> Column | None:
    """Return what passes without a look at the numbers, or None."""
    values = column.cells
    if column.text:
        return column if wanted is STRING or wanted is BINARY else None
    if values.dtype == wanted.dtype:
        return column
    if wanted is DATETIME:
        return _keep_times(name, column, wanted)
    if values.dtype != object:
        return None
    if wanted is DOUBLE:
        return _enforce_numeric(name, values)
    return column if wanted is STRING or wanted is BINARY or wanted is BOOLEAN else None


def _enforce_times(name: Name, values: Cells, wanted: DataType) -> Column:
    from handlers.scoring.schema.times import to_nanoseconds

    for value in values if values.dtype == object and "pandas" not in sys.modules else ():
        if value is None or isinstance(value, str):
            continue
        raise SchemaError(FOREIGN if isinstance(value, _NO_TIME) else _word_unlike(name, wanted))
    try:
        return Column(to_nanoseconds(values))
    except TypeError as error:
        raise SchemaError(FOREIGN, whole=partial(str, error)) from error
    except ValueError as error:
        raise SchemaError(_word_unlike(name, wanted)) from error


def _word_unlike(name: Name, wanted: DataType) -> str:
    return f"Failed to convert column {name} from type object to {wanted.member}."


def _enforce_numeric(name: Name, values: Cells) -> Column:
    """Numbers, truth values, texts of numbers as doubles, NaN for null and for what is empty.

    Ints stay ints: the rules are those of `pandas.to_numeric`.
    """
    cells = [None if hasattr(v, "__len__") and len(v) == 0 else v for v in values]
    found = np.empty(len(cells))
    for i, value in enumerate(cells):
        if isinstance(value, (list, dict, np.ndarray)):
            said = f"Invalid object type at position {i}"
            raise SchemaError(FOREIGN, whole=partial(str, said)) from TypeError(said)
        try:
            found[i] = np.nan if value is None else _read_number(value)
        except ValueError as error:
            raise SchemaError(_word_unlike(name, DOUBLE)) from error
    whole = all(_is_whole(v) for v in cells)
    return Column(np.array(list(map(int, values))) if whole else found)


def _read_number(value: str | float) -> float:
    """As Python does, but for texts in which pandas sees no number. Raises ValueError."""
    if isinstance(value, str):
        word = value.strip().lstrip("+-").lower()
        if not value.isascii() or "_" in word or word == "nan":
            raise ValueError(value)
    return float(value)


def _is_whole(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("+-").isdigit()
    if isinstance(value, bytes):
        return value.strip().lstrip(b"+-").isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _infer_kind(column: Column, quirks: Quirks) -> Column:
    """Objects that are all of one kind, as that kind."""
    if column.aware or any(v is None for v in column.cells):
        return column
    return infer(column.cells.tolist(), quirks)


def _is_widening(have: np.dtype[np.generic], want: np.dtype[np.generic]) -> bool:
    if have.kind == want.kind:
        return have.itemsize <= want.itemsize
    if have.kind == "u" and want.kind == "i":
        return have.itemsize < want.itemsize
    # an int of 32 bits fits a double, one of 64 does not
    return have.kind in "iu" and want == np.float64 and have.itemsize <= 4
