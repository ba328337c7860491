"""The one table of what is MLflow's or pandas' doing rather than good sense, by name.

Each field is a behaviour of the registered model's own server that this implementation follows:
those of its version, found by asking 2.22 and 3.17 (`tests/conformance`) and by reading those
between; and those of every version, which the protocol `fixed` turns off.
"""

from __future__ import annotations

from handlers.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    null_is_text: bool = True
    """`inputs`, string column, null: the text "None" (MLflow before 3.18); null from then on."""
    null_is_false: bool = True
    """boolean column, null: False (MLflow before 3.18); null from then on."""
    text_dtype: bool = True
    """Strings have a dtype of their own, with NaN for null (pandas 3); object before."""
    utf8_fails: bool = False
    """A body that is not UTF-8: 500 (before 3.16); 400 from then on."""
    cast_in_place: bool = False
    """Times and texts are cast as they are (before 3.12): a time zone fails, two columns of one
    name do not; times are read and texts left alone from then on."""
    index_is_lost: bool = False
    """Nested columns lose the rows' labels (before 3.17)."""
    classified: bool = True
    """Error bodies have `sqlstate` and `error_class` (from 3.12)."""
    head: bool = False
    """HEAD is answered where GET is (before 3.11); 405 from then on."""
    parquet: bool = True
    """Parquet is a content type (from 3.10); 415 before."""

    no_type_fails: bool = True
    """No Content-Type: 500 as MLflow; `fixed`: 415 with what to send."""
    bare_nan: bool = True
    """NaN and Infinity are written bare, which is no JSON; `fixed`: null."""
    raw_base64: bool = True
    """Binary columns in `inputs` and `instances` are left as base64; `fixed`: decoded."""


def quirks(
    mlflow_version: str | None, pandas_version: str | None, *, fixed: bool = False
) -> Quirks:
    """`pandas_version` None is a model served without pandas: strings as under pandas 3."""
    version = _read_release(mlflow_version) if mlflow_version else (3, 17)
    return Quirks(
        null_is_text=version < (3, 18),
        null_is_false=version < (3, 18),
        text_dtype=pandas_version is None or _read_release(pandas_version) >= (3, 0),
        utf8_fails=version < (3, 16) and not fixed,
        cast_in_place=version < (3, 12),
        index_is_lost=version < (3, 17),
        classified=version >= (3, 12),
        head=version < (3, 11),
        parquet=version >= (3, 10),
        no_type_fails=not fixed,
        bare_nan=not fixed,
        raw_base64=not fixed,
    )


def _read_release(version: str) -> tuple[int, int]:
    major, _, rest = version.partition(".")
    minor = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return (int(major), int(minor)) if major.isdecimal() and minor else (0, 0)
