"""A model's answer as MLflow's server writes it: JSON, with bare NaN, and records for tables.

pandas and pydantic are never imported here: an answer of theirs proves that they are loaded.
Source: mlflow/utils/proto_json_utils.py, https://github.com/mlflow/mlflow.
"""

from __future__ import annotations

import json
import sys

from handlers.scoring.errors import UnhandledError
from handlers.scoring.fast_json import encode_numbers
from handlers.scoring.schema import np

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINE_BYTES = 57
"""Of binary data on one line of base64: 76 characters (RFC 2045)."""


def encode(prediction: object, *, wrapped: bool = True, bare_nan: bool = True) -> bytes:
    """`{"predictions": ...}` as bytes, or the bare answer where not `wrapped`.

    NaN and Infinity are written so, or with `bare_nan` False as null, which every reader takes.
    Raises UnhandledError for what JSON cannot hold.
    """
    if isinstance(prediction, np.ndarray):
        numbers = encode_numbers(prediction)
        if numbers is not None:
            return (f'{{"predictions": {numbers}}}' if wrapped else numbers).encode("ascii")
    plain = jsonable(prediction)
    whole = {"predictions": plain} if wrapped else plain
    try:
        text = _WRITER.encode(whole) if bare_nan else _is_valid(whole)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UnhandledError from error
    return text.encode("ascii")


def _is_valid(whole: object) -> str:
    try:
        return _STRICT_WRITER.encode(whole)
    except ValueError:
        nulls = dict.fromkeys(("NaN", "Infinity", "-Infinity"))
        return _WRITER.encode(json.loads(_WRITER.encode(whole), parse_constant=nulls.get))


def jsonable(prediction: object) -> object:
    """Arrays as lists and tables as records; anything else as it is."""
    if isinstance(prediction, np.ndarray):
        return prediction.tolist()
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(prediction, pandas.Series):
            prediction = pandas.DataFrame(prediction)
        if isinstance(prediction, pandas.DataFrame):
            return prediction.to_dict(orient="records")
    return prediction


def row_count(prediction: Any) -> int:
    """Rows answered: 1 for whatever is not a sequence."""
    if isinstance(prediction, (dict, str, bytes)):
        return 1
    try:
        return len(prediction)
    except TypeError:
        return 1


def _encode_other(value: object) -> object:
    made = _make_plain(value)
    if made is value:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return made


def _make_plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return [_make_plain(item) for item in value.tolist()]
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bytes, bytearray)):
        return _base64_lines(value)
    datetime = sys.modules.get("datetime")
    if datetime is not None and isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump()
    return value


def _base64_lines(data: bytes | bytearray) -> str:
    import binascii

    starts = range(0, len(data), _LINE_BYTES)
    lines = (binascii.b2a_base64(data[start : start + _LINE_BYTES]) for start in starts)
    return b"".join(lines).decode("ascii")


_WRITER = json.JSONEncoder(default=_encode_other)
_STRICT_WRITER = json.JSONEncoder(default=_encode_other, allow_nan=False)
