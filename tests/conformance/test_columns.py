"""Columns of dtypes that are pandas' own, and records that lack a name, as MLflow answers them."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest

from tests.conformance.cases import CSV, PARQUET, Case, body, column, tensor
from tests.conformance.compare import disagreements
from tests.conformance.reference import VERSION

pytestmark = pytest.mark.usefixtures("quiet")
KINDS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
SIGNATURES = [
    *({"inputs": [column(kind)]} for kind in KINDS),
    *({"inputs": [column(kind, required=False)]} for kind in KINDS),
    *({"inputs": [tensor(dtype, [-1], "x")]} for dtype in ("float64", "float32", "int64", "int32")),
    {"inputs": [{"type": "any", "name": "x", "required": True}]},
    {"inputs": [{"type": "array", "items": {"type": "integer"}, "name": "x", "required": True}]},
    None,
]  # fmt: skip
COLUMNS = {
    "text of pandas 2": pd.Series(["a", "1", "2024-01-01"], dtype="string"),
    "text of pandas 2 with null": pd.Series(["a", None], dtype="string"),
    "Python's text": pd.Series(["a", "1"], dtype="string[python]"),
    "large nullable integers": pd.Series([2**53 + 1, 2**31], dtype="Int64"),
    "large nullable integers without a sign": pd.Series([2**64 - 1, 2], dtype="UInt64"),
    "nullable integers": pd.Series([1, None], dtype="Int32"),
    "nullable floats": pd.Series([0.5, None], dtype="Float32"),
    "nullable truth values": pd.Series([True, None], dtype="boolean"),
    "times of day": pd.Series(pd.to_timedelta([1, 2])),
    "categories of numbers": pd.Series([1, 2, 1]).astype("category"),
    "periods": pd.Series(pd.period_range("2024-01", periods=2, freq="M")),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_parquet_is_answered_as_mlflow_answers_it(name: str) -> None:
    out = io.BytesIO()
    pd.DataFrame({"x": COLUMNS[name]}).to_parquet(out)

    cases = [Case(f"{name}, {made}", made, out.getvalue(), PARQUET) for made in SIGNATURES]

    assert disagreements(cases, VERSION) == []


@pytest.mark.few(11)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [1, 16_777_217, "YQ=="])
def test_a_record_that_lacks_a_name_makes_of_the_others_what_pandas_makes(
    kind: str, value: Any
) -> None:
    made = {"inputs": [column(kind, required=required) for required in (True, False)]}
    made["inputs"][1]["name"] = "y"
    lists = [[{"x": value}, {}], [{}, {"x": value, "y": value}], [{"y": value}, {"x": value}]]

    cases = [
        Case(f"{kind} {sent}", made, body(**{form: sent}))
        for form in ("inputs", "instances", "dataframe_records")
        for sent in lists
    ]

    assert disagreements(cases, VERSION) == []


NUMBERED: dict[str, list[int]] = {"from zero": [0, 1], "years": [2023, 2024]}
ROWS = [[1.5, 2], [0.5, 3]]


@pytest.mark.few(3)
@pytest.mark.parametrize("label", NUMBERED)
@pytest.mark.parametrize("kind", ["double", "long", "string"])
def test_columns_that_are_named_by_numbers_are_answered_as_mlflow_answers_them(
    label: str, kind: str
) -> None:
    names = NUMBERED[label]
    specs = [{**column("double"), "name": names[0]}, {**column(kind), "name": names[1]}]
    texts = [str(name) for name in names]
    sent: list[dict[str, Any]] = [
        *({"dataframe_split": {"columns": each, "data": ROWS}} for each in (names, texts)),
        {"dataframe_split": {"columns": names[::-1], "data": ROWS}},
        {"dataframe_split": {"columns": [*names, 7], "data": [[*row, 1] for row in ROWS]}},
        {"dataframe_split": {"data": ROWS}},
        {"dataframe_split": {"columns": names[:1], "data": [[1.5]]}},
        {"dataframe_records": [dict(zip(texts, row, strict=True)) for row in ROWS]},
        *({form: dict(zip(texts, ROWS, strict=True))} for form in ("inputs", "instances")),
        {"inputs": ROWS},
        {"instances": ROWS},
    ]
    signatures = [{"inputs": specs}, {"inputs": specs[:1]}, {"inputs": [*specs, column("double")]}]
    signatures.append({"inputs": [{**each, "required": False} for each in specs]})

    cases = [
        Case(f"{label} {kind} {made} {each}", made, body(**each))
        for made in signatures
        for each in sent
    ]
    text = ",".join(texts) + "\n1.5,2\n"
    cases += [Case(f"{label} {kind} {made} csv", made, text.encode(), CSV) for made in signatures]

    assert disagreements(cases, VERSION) == []
