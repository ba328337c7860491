"""`inputs` and `instances`: TensorFlow serving's bodies, cast as MLflow's server casts them.

Source: mlflow/utils/proto_json_utils.py, https://github.com/mlflow/mlflow. numpy does the casting
there as here, so a value goes through the same constructor.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial

from handlers.scoring.errors import (
    DATA_ERRORS,
    FOREIGN,
    InvalidInputError,
    ScoringError,
    TooLargeError,
)
from handlers.scoring.schema import np
from handlers.scoring.schema.columns import are_widened, check_widths, objects
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import (
    BINARY,
    BOOLEAN,
    STRING,
    AnyType,
    Array,
    ColumnSpec,
    DataType,
    Json,
    Schema,
    TensorSpec,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

_NOT_VALID = "Ensure that the input is a valid JSON-formatted string."
Spec: TypeAlias = "ColumnSpec | TensorSpec | None"


def parse_inputs(data: object, schema: Schema | None, quirks: Quirks) -> object:
    """A dict, a list of dicts, an ndarray or a numpy scalar, by the shape of `data`."""
    by_name = schema.by_name if schema else {}
    if schema is not None:
        data = _name_input(data, schema)
    if isinstance(data, dict):
        return _convert_record(data, by_name, quirks)
    if isinstance(data, list) and all(isinstance(v, dict) for v in data):
        return [_convert_record(record, by_name, quirks) for record in data]
    first = schema.specs[0] if schema else None
    if isinstance(data, list):
        return _convert_value(data, first, quirks)
    try:
        return _convert_value(data, first, quirks)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"Failed to convert data to type `{first}` defined in the model signature.",
            whole=lambda: (
                f"Failed to convert data `{data}` to type `{first}` defined in the model signature."
            ),
        ) from error


def _name_input(data: object, schema: Schema) -> object:
    """Put a lone input under its name. Raises InvalidInputError for names that nobody gave."""
    by_name = schema.by_name
    records = isinstance(data, list) and any(isinstance(v, dict) for v in data)
    if len(by_name) == 1 and isinstance(data, list) and not records:
        return {next(iter(by_name)): data}
    if not schema.named and not (isinstance(data, list) or np.isscalar(data)):
        raise InvalidInputError(
            "Failed to parse input data. This model contains an un-named  model signature "
            "which expects a single n-dimensional array or a single value as input, however, "
            f"an input of type {type(data)} was found."
        )
    return data


def parse_instances(data: Json, schema: Schema | None, quirks: Quirks) -> object:
    """As `parse_inputs`, but records become columns, which must be of one length."""
    if isinstance(data, list) and data and isinstance(data[0], dict):
        by_name = schema.by_name if schema else {}
        try:
            parsed: Any = _pivot_records(data, by_name, quirks)
        except InvalidInputError:
            # MLflow goes row by row: of several faults the first in that order is told
            for record in data:
                if not isinstance(record, dict):
                    raise
                for name, value in record.items():
                    _convert_value(value, by_name.get(name), quirks)
            raise
    else:
        parsed = parse_inputs(data, schema, quirks)
    if isinstance(parsed, dict):
        _same_lengths(parsed, schema)
    return parsed


def _convert_record(
    record: dict[str, object], by_name: Mapping[str, Spec], quirks: Quirks
) -> dict[str, object]:
    return {name: _convert_value(v, by_name.get(name), quirks) for name, v in record.items()}


def _gather_cells(records: list[object]) -> dict[str, list[object]]:
    """Cells by column. Raises InvalidInputError for a record that is no object."""
    columns: dict[str, list[Json]] = {}
    for record in records:
        if not isinstance(record, dict):
            lacking = AttributeError(f"'{type(record).__name__}' object has no attribute 'items'")
            raise InvalidInputError(
                _NOT_VALID, whole=partial("{}\nError: {!r}".format, _NOT_VALID, lacking)
            )
        for name, value in record.items():
            columns.setdefault(name, []).append(value)
    return columns


def _stack_parts(cells: list[object]) -> object:
    """An array of a column's parts. Raises InvalidInputError where they do not fit together."""
    check_widths([c.tolist() if isinstance(c, np.ndarray) else c for c in cells])
    try:
        return np.array(cells)
    except DATA_ERRORS as error:
        raise InvalidInputError(
            _NOT_VALID, whole=partial("{}\nError: {!r}".format, _NOT_VALID, error)
        ) from error


def _pivot_records(
    records: list[Json], by_name: dict[str, Any], quirks: Quirks
) -> dict[str, object]:
    made: dict[str, Any] = {}
    parts: dict[str, list[Any]] = {}
    for name, values in _gather_cells(records).items():
        spec = by_name.get(name)
        kinds = set(map(type, values))
        simple = (
            spec.dtype != object  # of an array of objects numpy would make no plain one
            if isinstance(spec, TensorSpec)
            else spec is None or isinstance(spec.type, DataType)
        )
        if (
            simple
            and list not in kinds
            and dict not in kinds
            and (spec or _are_alike(values, kinds))
        ):
            made[name] = _convert_value(values, spec, quirks)
        else:
            made[name] = None  # its place among the others
            parts[name] = [_convert_value(value, spec, quirks) for value in values]
    for name, cells in parts.items():
        made[name] = _stack_parts(cells)
    return made


def _are_alike(values: list[object], kinds: set[type]) -> bool:
    """Tell whether an array of them is what an array of arrays of each is."""
    if int in kinds and any(type(v) is int and abs(v) >= 2**63 for v in values):
        return False
    return kinds <= {int, float} or kinds in ({str}, {bool})


def _same_lengths(parsed: dict[str, object], schema: Schema | None) -> None:
    sized = {n: v for n, v in parsed.items() if isinstance(v, (list, np.ndarray))}
    if schema is not None and schema.named:
        nested = {s.name for s in schema.columns if isinstance(s.type, Array)}
        names = [n for n in schema.required if n in sized and n not in nested]
    else:
        names = list(sized)
    try:
        lengths = {len(sized[name]) for name in names}
    except TypeError as error:
        raise InvalidInputError(
            _NOT_VALID, whole=partial("{}\nError: {!r}".format, _NOT_VALID, error)
        ) from error
    if len(lengths) > 1:
        raise InvalidInputError("The length of values for each input/column name are not the same")


def _make_array(data: object, dtype: np.dtype[np.generic] | None = None) -> Any:
    if dtype is None or dtype.kind in "US":
        check_widths(data)
    try:
        return np.array(data, dtype=dtype)
    except DATA_ERRORS as error:
        raise InvalidInputError(FOREIGN, whole=partial(str, error)) from error


def _convert_value(data: object, spec: Spec, quirks: Quirks) -> object:
    if spec is None:
        return _make_array(data)
    if isinstance(spec, TensorSpec):
        return _make_array(data, spec.dtype)
    wanted = spec.type
    if isinstance(wanted, DataType):
        return _convert_scalars(data, wanted, quirks)
    if isinstance(wanted, AnyType):
        return data
    from handlers.scoring.schema.nested import enforce_value

    try:
        made = enforce_value(data, wanted, required=spec.required, quirks=quirks)
    except TooLargeError:
        raise
    except ScoringError as error:
        raise InvalidInputError(error.message, whole=error.get_whole()) from error
    except DATA_ERRORS as error:
        raise InvalidInputError(FOREIGN, whole=partial(str, error)) from error
    return _make_array(made) if isinstance(wanted, Array) else made


def _convert_scalars(data: Json, wanted: DataType, quirks: Quirks) -> object:
    single = not isinstance(data, list)
    values = [data] if single else data
    if _keeps_null(wanted, quirks) and None in values:
        made = _keep_nulls(values, bool if wanted is BOOLEAN else str)
    elif wanted is BINARY:
        made = _texts(values, wanted) if quirks.raw_base64 else _decode_texts(values)
    elif wanted.dtype.kind == "M":
        with warnings.catch_warnings():
            # a time zone is dropped after the conversion to UTC, and numpy warns of it
            warnings.simplefilter("ignore")
            made = _make_array(values, wanted.array_dtype)
    elif wanted is STRING:
        made = _texts(values, wanted)
    else:
        made = _make_array(values, wanted.array_dtype)
    return made[0] if single else made


def _keep_nulls(values: list[object], kind: type) -> np.ndarray:
    return np.array([None if v is None else kind(v) for v in values], dtype=object)


def _decode_texts(values: list[object]) -> np.ndarray:
    # numpy's own bytes would lose what ends in zeros
    return np.array([*decode_base64(values), None], dtype=object)[:-1]


def _texts(values: list[Json], wanted: DataType) -> Any:
    """Numpy's array of text or bytes; where one is far longer than the others, of objects.

    What is made of the array is the same: a table's column.
    """
    if not are_widened(values) or not all(isinstance(value, str) for value in values):
        return _make_array(values, wanted.array_dtype)
    try:
        # numpy takes zeros at the end for what fills an array
        cells = [
            value.rstrip("\0") if wanted is STRING else value.encode("ascii").rstrip(b"\0")
            for value in values
        ]
    except UnicodeEncodeError as error:
        raise InvalidInputError(FOREIGN, whole=partial(str, error)) from error
    return objects(cells, len(cells))


def decode_base64(values: list[Json]) -> list[bytes]:
    """Base64 texts as the bytes they stand for. Raises InvalidInputError."""
    import binascii

    try:
        return [binascii.a2b_base64(value.encode("utf-8")) for value in values]
    except (ValueError, AttributeError) as error:
        raise InvalidInputError(
            "Binary data must be base64 text.", detail=f"Error: {error!r}"
        ) from error


def _keeps_null(wanted: DataType, quirks: Quirks) -> bool:
    if wanted is STRING:
        return not quirks.null_is_text
    return wanted is BOOLEAN and not quirks.null_is_false
