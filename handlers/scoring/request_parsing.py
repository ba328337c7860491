"""Request bodies to what the model is asked: content types, JSON's keys, CSV, Parquet.

Source: mlflow/pyfunc/scoring_server/__init__.py, https://github.com/mlflow/mlflow.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial

from handlers.scoring import fast_json
from handlers.scoring.errors import (
    DATA_ERRORS,
    InvalidInputError,
    PlainError,
    ScoringError,
    TooLargeError,
    UnhandledError,
)
from handlers.scoring.schema.columns import Table
from handlers.scoring.schema.model_spec import Model
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import Json
from handlers.values import dataclass, remove_prefix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handlers.scoring.fast_tables import Reader

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
FORMATS = ("dataframe_records", "dataframe_split", "instances", "inputs")
_PARQUET_BYTES = 256 * 1024 * 1024
"""Of a table, decoded."""
_PARQUET_ROWS = 256
"""Decoded at a time to learn the size: one text may stand for every row of a file."""
_SURROGATES = (rb"\ud", rb"\uD")
"""How JSON's escapes of surrogates begin, paired or not."""
LLM_KEYS = ("messages", "prompt", "input")
_ONE_OF = (
    "The input must be a JSON dictionary with exactly one of the input fields "
    f"{{{', '.join(map(repr, FORMATS))}}}"
)
_CHANGED = (
    "IMPORTANT: The MLflow Model scoring protocol has changed in MLflow version 2.0. If you are "
    "seeing this error, you are likely using an outdated scoring request format. To resolve the "
    "error, either update your request format or adjust your MLflow Model's requirements file to "
    "specify an older version of MLflow (for example, change the 'mlflow' requirement specifier to "
    "'mlflow==1.30.0'). If you are making a request using the MLflow client (e.g. via "
    "`mlflow.pyfunc.spark_udf()`), upgrade your MLflow client to a version >= 2.0 in order to use "
    "the new request format. For more information about the updated MLflow Model scoring protocol "
    "in MLflow 2.0, see https://mlflow.org/docs/latest/models.html#deploy-mlflow-models."
)
"""What MLflow's server appends; clients match on its words."""


@dataclass(frozen=True, slots=True)
class Request:
    """`data` before the signature is enforced; `raw` data is not enforced at all."""

    data: Any
    params: Json = None
    unwrapped: bool = False
    """The answer is written without `predictions`: OpenAI-style bodies."""


def media_type(header: str | None, quirks: Quirks) -> str:
    """One of the types that are served; the rules, case included, are MLflow's.

    Raises PlainError: 415 for any other, and for no header at all what `quirks` says.
    """
    served = [CSV, JSON, *([PARQUET] if quirks.parquet else [])]
    if header is None:
        if quirks.no_type_fails:
            raise UnhandledError
        raise PlainError(f"A Content-Type is needed, one of {served}.", status=415)
    mime, *pairs = [part.strip() for part in header.split(";")]
    parameters = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    if parameters.pop("charset", "utf-8").lower() != "utf-8":
        raise PlainError("The scoring server only supports UTF-8", status=415)
    if parameters:
        names = ", ".join(parameters)
        raise PlainError(f"Unrecognized content type parameters: {names}. {_CHANGED}", status=415)
    if mime not in served:
        raise PlainError(
            "This predictor only supports the following content types: "
            f"Types: {served}. Got '{header}'.",
            status=415,
        )
    return mime


def decode_json(body: bytes | str, quirks: Quirks) -> dict[str, object]:
    """Raises InvalidInputError for what is not a JSON object."""
    try:
        decoded = fast_json.decode(body)
    except UnicodeDecodeError as error:
        raise _not_utf8("JSON formatted", error, quirks) from error
    except (ValueError, RecursionError) as error:
        # nested too deeply for the parser, an integer of too many digits, not JSON
        said = "Ensure that input is a valid JSON formatted string."
        whole = partial("{} Error: '{!r}'\nInput: \n{!s}\n".format, said, error, body)
        raise InvalidInputError(said, whole=whole) from error
    return check_object(decoded)


def check_object(decoded: object) -> dict[str, object]:
    if isinstance(decoded, dict):
        return decoded
    if isinstance(decoded, list):
        raise InvalidInputError(f"{_ONE_OF}. Received a list.")
    raise InvalidInputError(f"{_ONE_OF}. Received unexpected input type '{type(decoded)}.")


def _not_utf8(what: str, error: UnicodeDecodeError, quirks: Quirks) -> ScoringError:
    if quirks.utf8_fails:
        return UnhandledError()
    return InvalidInputError(
        f"Ensure that input is a valid {what} string.", detail=f"Error: '{error!r}'"
    )


def parse_json_body(body: bytes, model: Model, reader: Reader | None) -> Request:
    """Raises ScoringError for a body that is none of MLflow's formats."""
    found = None if model.untyped or reader is None else reader.json(body)
    if found is not None:
        return Request(*found)
    sound = b"\\" not in body or not any(escape in body for escape in _SURROGATES)
    return parse_json(decode_json(body, model.quirks), model, sound=sound)


def parse_json(decoded: dict[str, object], model: Model, *, sound: bool = False) -> Request:
    """Raises ScoringError for a body that is none of MLflow's formats.

    `sound` tells that no text has a lone surrogate, so that unknown columns need not be read.
    """
    if any(key in decoded for key in LLM_KEYS):
        known = {spec.name for spec in model.params or ()}
        named = {key: value for key, value in decoded.items() if key in known}
        data = {key: value for key, value in decoded.items() if key not in known}
        return Request(data, named, unwrapped=True)
    given = [key for key in decoded if key in FORMATS]
    params = decoded.get("params")
    if model.untyped:
        if "inputs" not in given:
            raise ScoringError(
                "Request payload must be a dictionary with 'inputs' key when the model contains a "
                f"valid type hint. Found keys in payload: dict_keys({given}).",
                error_code="INVALID_PARAMETER_VALUE",
            )
        return Request(decoded["inputs"], params)
    if len(given) != 1:
        raise ScoringError(f"{_ONE_OF}. Received dictionary with input fields: {given}. {_CHANGED}")
    return Request(_data(given[0], decoded[given[0]], model, sound=sound), params)


def _data(key: str, value: object, model: Model, *, sound: bool) -> object:
    if key in {"inputs", "instances"}:
        from handlers.scoring.tensorflow_serving_format import parse_inputs, parse_instances

        parse = parse_inputs if key == "inputs" else parse_instances
        return parse(value, model.inputs, model.quirks)
    if key == "dataframe_records" and not isinstance(value, list):
        raise InvalidInputError(
            f"Dataframe records format must be a list of records. Got {_name_kind(value)}."
        )
    if key == "dataframe_split":
        if not isinstance(value, dict):
            raise InvalidInputError(
                f"Dataframe split format must be a dictionary. Got {_name_kind(value)}."
            )
        if "data" not in value or value.keys() - {"columns", "data", "index"}:
            said = (
                "Dataframe split format must have 'data' field and optionally 'columns' and "
                "'index' fields."
            )
            raise InvalidInputError(said, whole=lambda: f"{said} Got {set(value)}.'")
    try:
        return _read_frame(key, value, model, sound=sound)
    except DATA_ERRORS as error:
        said = (
            f"Provided {key} field is not a valid dataframe representation in "
            f"'{remove_prefix(key, 'dataframe_')}' format."
        )
        whole = partial(_word_failure, said, error, key, value)
        raise InvalidInputError(said, whole=whole) from error


def _word_failure(said: str, error: Exception, key: str, value: Json) -> str:
    """With what pandas says of the same data, where it is loaded."""
    if (pandas := sys.modules.get("pandas")) is not None:
        try:
            pandas.DataFrame(**({"data": value} if key == "dataframe_records" else value))
        except DATA_ERRORS as pandas_error:
            error = pandas_error
    return f"{said} Error: '{error}'"


def _name_kind(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "dictionary" if isinstance(value, dict) else "list"
    return f"type {type(value)}"


def _read_frame(key: str, value: Json, model: Model, *, sound: bool) -> object:
    if model.inputs is None and model.pandas:
        import pandas as pd

        from handlers.scoring.schema.tables import check_labels, check_shape

        given = {"data": value} if key == "dataframe_records" else value
        check_shape(given["data"])
        for part in ("columns", "index"):
            if isinstance(labels := given.get(part), list):
                check_labels(labels)
        return _by_pandas(lambda: pd.DataFrame(**given))
    from handlers.scoring.schema.casting import cast_table
    from handlers.scoring.schema.tables import from_records, from_split

    drops = model.inputs is not None and not model.keeps_unknown and sound
    wanted = tuple(model.inputs.by_name) if drops and model.inputs is not None else ()
    build = from_records if key == "dataframe_records" else from_split
    table: Table = build(value, wanted, model.quirks)
    if model.inputs is not None:
        cast_table(table, model.inputs, model.quirks)
    return table


def _by_pandas(read: Callable[[], object]) -> Any:
    """Have pandas read a body; ValueError for whatever it raises."""
    try:
        return read()
    except (*DATA_ERRORS, OSError, ImportError, ScoringError):
        raise
    except Exception as error:  # some of pandas' and pyarrow's own derive from nothing else
        raise ValueError(str(error)) from error


def parse_csv_body(body: bytes, model: Model, reader: Reader) -> Request:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8("UTF-8 encoded", error, model.quirks) from error
    try:
        return Request(_csv(text, model, reader))
    except DATA_ERRORS as error:
        raise _not_a_frame("CSV-formatted", "to_csv", error) from error


def _csv(text: str, model: Model, reader: Reader) -> object:
    # pandas 2 rounds the last bit of a number in CSV another way
    found = reader.csv(text) if model.quirks.text_dtype else None
    if found is not None:
        return found
    from handlers.scoring.delimited import check_csv

    check_csv(text)
    if not model.pandas and model.inputs is not None:
        from handlers.scoring.delimited import parse_csv

        return parse_csv(text, model.inputs)
    if not model.pandas:
        raise ValueError("a CSV body wants a model with a signature")
    import io

    import pandas as pd

    if model.inputs is None:
        return _by_pandas(lambda: pd.read_csv(io.StringIO(text)))
    from handlers.scoring.schema.frames import from_dataframe

    dtypes = model.csv_dtypes()
    return from_dataframe(_by_pandas(lambda: pd.read_csv(io.StringIO(text), dtype=dtypes)))


def parse_parquet_body(body: bytes, model: Model) -> Request:
    import io

    if not model.parquet:
        # as MLflow does where it finds none to read it with
        error = ImportError("the artifact holds no pyarrow")
        raise _not_a_frame("Parquet", "to_parquet", error) from error
    import pandas as pd

    from handlers.scoring.schema.frames import from_dataframe

    try:
        _by_pandas(lambda: _check_parquet(body))
        frame = _by_pandas(lambda: pd.read_parquet(io.BytesIO(body)))
        data = frame if model.inputs is None else _by_pandas(lambda: from_dataframe(frame))
    except (*DATA_ERRORS, OSError, ImportError) as error:
        raise _not_a_frame("Parquet", "to_parquet", error) from error
    return Request(data)


def _check_parquet(body: bytes) -> None:
    """Raises TooLargeError for a file that would fill the memory: a few bytes can stand for it."""
    import io

    import pyarrow.parquet as pq

    from handlers.scoring.schema.tables import check_extent

    try:
        file = pq.ParquetFile(io.BytesIO(body))
    except ValueError as error:
        msg = (
            f"Could not open Parquet input source '<Buffer>': {error}"  # as pandas' reader says it
        )
        raise ValueError(msg) from error
    described = file.metadata
    check_extent(described.num_rows, described.num_columns, len(body))
    size = 0
    for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
        for column in batch.columns:
            coded = hasattr(column, "dictionary_decode")
            size += column.dictionary_decode().nbytes if coded else column.nbytes
        if size > _PARQUET_BYTES:
            raise TooLargeError(
                f"The table is more than {_PARQUET_BYTES} bytes. Send fewer rows a request."
            )


def _not_a_frame(what: str, method: str, error: Exception) -> ScoringError:
    return ScoringError(
        "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid "
        f"{what} Pandas DataFrame produced using the `pandas.DataFrame.{method}()` method.",
        detail=f"Error: '{error}'",
        stack_trace=lambda: "".join(
            traceback.format_exception(type(error), error, error.__traceback__)
        ),
    )
