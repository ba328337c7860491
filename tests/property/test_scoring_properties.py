"""For any schema and any rows: numpy's values are pandas'."""

from __future__ import annotations

import io
import itertools
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.scoring.delimited import number_of, parse_csv
from handlers.scoring.schema.signature import DATA_TYPES, read_schema
from tests import examples
from tests.conformance.asking import ours
from tests.conformance.cases import Case, column
from tests.conformance.generated import KINDS, SCALARS

pytestmark = pytest.mark.usefixtures("quiet")
CELLS = st.one_of(SCALARS, st.lists(st.integers(0, 3), max_size=2))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
    specs = [
        column(draw(st.sampled_from(KINDS)), name, required=draw(st.booleans())) for name in names
    ]
    sent = draw(st.permutations([*names, "z"]))
    rows = draw(st.lists(st.tuples(*(CELLS for _ in sent)), min_size=1, max_size=4))
    records = [dict(zip(sent, row, strict=True)) for row in rows]
    key = draw(st.sampled_from(["dataframe_records", "dataframe_split", "inputs", "instances"]))
    data: Any = records
    if key == "dataframe_split":
        data = {"columns": sent, "data": [list(row) for row in rows]}
    elif key == "inputs":
        data = {name: [record[name] for record in records] for name in sent}
    body = json.dumps({key: data}).encode()
    return Case(f"{specs} {body!r}", {"inputs": specs}, body)


class Keeping:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        self.data = data
        return []


@given(cases())
@settings(max_examples=examples.count(150), deadline=None, derandomize=True)
def test_arrays_hold_what_the_dataframe_holds(case: Case) -> None:
    if any(spec["type"] == "datetime" for spec in (case.signature or {})["inputs"]):
        return  # without pandas, only ISO 8601 is read
    frame, arrays = Keeping(), Keeping()

    with_pandas = ours(case.signature, frame).invocations(case.body, case.content_type)
    without = ours(case.signature, arrays, frame="numpy").invocations(case.body, case.content_type)

    assert with_pandas.status == without.status
    if without.status == 200:
        assert list(frame.data.columns) == list(arrays.data)
        for name, values in arrays.data.items():
            assert repr(frame.data[name].tolist()) == repr(values.tolist())


NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.from_regex(r"[+-]?[0-9]{0,20}\.?[0-9]{1,20}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@settings(max_examples=examples.count(200), deadline=None, derandomize=True)
def test_numbers_in_csv_are_read_to_the_last_bit_as_pandas_reads_them(texts: list[str]) -> None:
    body = "x\n" + "\n".join(texts) + "\n"
    expected = pd.read_csv(io.StringIO(body), dtype={"x": np.float64})["x"]

    actual = [math.nan if text == "nan" else number_of(text) for text in texts]

    assert list(map(repr, expected.tolist())) == list(map(repr, actual))


CSV_CELLS = st.one_of(
    NUMBERS,
    st.sampled_from(["", "NA", "null", "True", "false", "1", "0", "x", "1.0", " 2", "n/a"]),
    st.text(st.sampled_from('ab,"\n 1.'), max_size=5),
)


TRUTHS_WITH_GAPS = ["", "NA", "True", "false", "tRue", "1", "1.5", "x"]


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "datetime"])
def test_truths_beside_gaps_numbers_and_text_are_read_as_pandas_reads_them(kind: str) -> None:
    schema = read_schema([column("double", "a"), column(kind, "b")])
    assert schema is not None
    for cells in itertools.product(TRUTHS_WITH_GAPS, repeat=3):
        text = "a,b\n" + "".join(f"0.0,{cell}\n" for cell in cells)
        try:
            expected = pd.read_csv(io.StringIO(text), dtype={"b": DATA_TYPES[kind].dtype})
        except (ValueError, OverflowError):
            with pytest.raises(ValueError, match=r"."):
                parse_csv(text, schema)
            continue

        actual = parse_csv(text, schema)

        assert repr(actual.columns["b"].cells.tolist()) == repr(expected["b"].tolist()), cells


@pytest.mark.parametrize("kind", ["double", "boolean", "string", "long"])
def test_a_column_behind_labels_is_of_the_type_that_pandas_takes_it_for(kind: str) -> None:
    """Where columns have no names, pandas counts the labels as the first of them."""
    signature = {"inputs": [{"type": kind}]}
    for cells in itertools.product(["", "True", "1", "x"], repeat=2):
        body = ("a\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))).encode()
        frame, arrays = Keeping(), Keeping()

        with_pandas = ours(signature, frame).invocations(body, "text/csv")
        without = ours(signature, arrays, frame="numpy").invocations(body, "text/csv")

        assert without == with_pandas, cells
        if without.status == 200:
            (values,) = arrays.data.values()
            assert repr(values.tolist()) == repr(frame.data["a"].tolist()), cells


@given(
    st.lists(st.sampled_from([k for k in KINDS if k != "datetime"]), min_size=2, max_size=3),
    st.lists(st.lists(CSV_CELLS, min_size=3, max_size=3), max_size=4),
)
@settings(max_examples=examples.count(200), deadline=None, derandomize=True)
def test_csv_is_read_as_pandas_reads_it(kinds: list[str], rows: list[list[str]]) -> None:
    names = list("abc")[: len(kinds)]
    schema = read_schema([column(k, n) for k, n in zip(kinds, names, strict=True)])
    assert schema is not None
    text = pd.DataFrame([row[: len(kinds)] for row in rows], columns=names).to_csv(index=False)
    dtypes: Any = {n: DATA_TYPES[k].dtype for n, k in zip(names, kinds, strict=True)}
    try:
        expected = pd.read_csv(io.StringIO(text), dtype=dtypes)
    except (ValueError, OverflowError):
        with pytest.raises(ValueError, match=r"."):
            parse_csv(text, schema)
        return

    actual = parse_csv(text, schema)

    for name in names:
        assert repr(actual.columns[name].cells.tolist()) == repr(expected[name].tolist())
