"""Values at and beyond the ends of each type, by every form of body: what a cast could wrap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from handlers.scoring.schema.signature import DATA_TYPES
from tests.conformance.cases import CSV, Case, body, column, tensor

NUMBERS: tuple[Any, ...] = (
    1e300, -1e300, 1e19, 2.0**63, -(2.0**63), 9.3e18, 3e9, -3e9, 1e39, 1e-46, 5e-324, -0.0,
    float("nan"), float("inf"), float("-inf"), 2**31 - 1, 2**31, -(2**31) - 1, 2**32, 2**53 + 1,
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**308, 10**309, 10**400,
    16_777_217, 255, 256, -1, 32_768, 65_536, True, None,
)  # fmt: skip
TEXTS = (
    "1e300", "9223372036854775808", "9" * 309, "-0.0", "nan", "-inf", "1e400", "1_000", "\u0663",
    " 1 ", "0x10", "1.5", "true", "+5", "", "NaT", "1e3",
)  # fmt: skip
TIMES = (
    "1600-01-01", "1677-09-20", "1677-09-21T00:12:43.145224193", "1677-09-21T00:12:43.145224192",
    "2262-04-11T23:47:16.854775807", "2262-04-11T23:47:16.854775808", "2262-04-12", "0001-01-01",
    "9999-12-31T23:59:59", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.123456789", "10000-01-01",
    "-0001-01-01", "2024-02-30", "2024-01-01T25:00:00", "2024", "20240101", "1970-01-01",
    "2024-01-01T00:00:00.1234567891234",
)  # fmt: skip
TENSORS = (
    "float16", "float32", "int8", "int16", "int64", "uint8", "uint16", "uint64", "bool",
    "complex128", "datetime64[ns]", "datetime64[s]", "timedelta64[ns]",
)  # fmt: skip


def forms(values: list[Any]) -> Iterator[tuple[str, bytes]]:
    records = [{"x": value} for value in values]
    yield "records", body(dataframe_records=records)
    yield "split", body(dataframe_split={"columns": ["x"], "data": [[v] for v in values]})
    yield "instances", body(instances=records)
    yield "inputs", body(inputs={"x": values})
    yield "inputs of records", body(inputs=records)


def extreme_cases() -> Iterator[Case]:
    """Each value alone, and beside one of its own kind that any column holds."""
    signatures = {kind: {"inputs": [column(kind)]} for kind in DATA_TYPES}
    signatures |= {dtype: {"inputs": [tensor(dtype, [-1], "x")]} for dtype in TENSORS}
    for label, signature in signatures.items():
        for value in (*NUMBERS, *TEXTS, *TIMES):
            other = "2024-01-01" if value in TIMES else "1" if isinstance(value, str) else 1
            for values in ([value], [value, other]):
                for form, sent in forms(values):
                    name = f"{label} <- {json.dumps(values):.60} by {form}"
                    yield Case(name, signature, sent)
        for value in (*NUMBERS, *TEXTS, *TIMES) if label in DATA_TYPES else ():
            text = "" if value is None else str(value)
            for lines in (f"x,y\n{text},1\n", f"x,y\n{text},1\n1,2\n"):
                yield Case(f"{label} <- {text:.60} by CSV", signature, lines.encode(), CSV)
