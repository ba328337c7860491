"""Text and numbers to datetime64[ns], as `pandas.to_datetime` reads them.

With pandas in the process it is asked itself. Without, ISO 8601 is read, in one form a column.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import numpy as np

from handlers.scoring.schema.columns import Column
from handlers.scoring.schema.quirks import Quirks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_BEYOND = "a time is beyond what nanoseconds can tell"
_INT64_END = 2.0**63
_LONGEST = 1000
"""Characters that are looked at: dateutil, which pandas asks, takes time with their square."""
_DIGIT = re.compile(r"\d+")
_ZONED = re.compile(r".*\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})$")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?")


def parse_times(column: Column, quirks: Quirks) -> Column:
    """Raises ValueError or TypeError for what is not a time."""
    pandas = sys.modules.get("pandas")
    if any(isinstance(v, str) and len(v) > _LONGEST for v in _list_objects(column)):
        raise ValueError(f"a time has at most {_LONGEST} characters")
    if pandas is None:
        found = _read_iso(column)
        if found.aware and quirks.cast_in_place:
            raise ValueError("a time zone cannot be cast")
        return found
    series = pandas.Series(column.cells, dtype="str" if column.text else column.cells.dtype)
    if quirks.cast_in_place:
        return Column(series.astype("datetime64[ns]").to_numpy())
    found = pandas.to_datetime(series)
    if found.dtype.kind != "M":  # texts of several time zones stay objects
        return Column(found.to_numpy())
    # pandas refuses a time that is beyond nanoseconds, numpy's own cast makes another of it
    found = found.dt.as_unit("ns")
    if getattr(found.dtype, "tz", None) is not None:
        return Column(column.cells, aware=True)
    return Column(found.to_numpy())


def to_nanoseconds(values: Array) -> Array:
    """Raises ValueError for a time before 1677-09-21 or after 2262-04-11."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        made: Array = pandas.Series(values).astype("datetime64[ns]").to_numpy()
        return made
    if values.dtype == object:
        values = np.array(["NaT" if v is None else v for v in values], dtype="datetime64[us]")
    return _cast_times(values, values.astype("datetime64[s]"))


def _cast_times(values: Array, seconds: Array) -> Array:
    """`values` in nanoseconds, where these are the same as `seconds`. Raises ValueError."""
    try:
        found = values.astype("datetime64[ns]")
    except OverflowError as error:  # numpy before 2.5 makes another time of it
        raise ValueError(_BEYOND) from error
    # by whole numbers: numpy's own way back is wrong for the first second of all
    same = found.astype(np.int64) // 1_000_000_000 == seconds.astype(np.int64)
    if not (same | np.isnat(seconds)).all():
        raise ValueError(_BEYOND)
    return found


def _list_objects(column: Column) -> Any:
    return column.cells if column.cells.dtype == object else ()


def _count_nanoseconds(values: Array) -> Array:
    """Numbers as nanoseconds since 1970; NaN is no time. Raises ValueError beyond 2262."""
    if values.dtype.kind in "fu" and (np.abs(values) >= _INT64_END).any():
        raise ValueError(_BEYOND)
    if values.dtype.kind != "f":
        return values.astype(np.int64).astype("datetime64[ns]")
    whole = np.where(np.isfinite(values), values, 0).astype(np.int64)
    times = whole.astype("datetime64[ns]")
    times[np.isnan(values)] = np.datetime64("NaT", "ns")
    return times


def _read_iso(column: Column) -> Column:
    values = column.cells
    if values.dtype.kind == "M":
        return Column(to_nanoseconds(values))
    if values.dtype.kind in "iuf":
        return Column(_count_nanoseconds(values))
    return _parse_iso(values)


def _check_form(texts: Sequence[object]) -> None:
    """Raises ValueError for texts that are no times, or not all of one form."""
    if not all(v is None or (isinstance(v, str) and _ISO.fullmatch(v)) for v in texts):
        raise ValueError("times must be ISO 8601")
    forms = {_DIGIT.sub("0", str(v)) for v in texts if v is not None}
    if len(forms) > 1:
        raise ValueError("times must all be of one form")


def _parse_iso(values: Array) -> Column:
    """Texts of one form, null and empty ones no time. Raises ValueError."""
    texts = [None if v is None or v != v or v == "" else v for v in values]  # noqa: PLR0124  NaN
    _check_form(texts)
    if any(v is not None and _ZONED.match(v) for v in texts):
        return Column(values, aware=True)
    filled = np.array(["NaT" if v is None else v for v in texts], dtype=np.str_)
    return Column(_cast_times(filled, filled.astype("datetime64[s]")))
