"""CSV without pandas: what pandas reads, for every kind of column, and bodies that are no table."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.scoring import delimited
from handlers.scoring.delimited import NULLS, check_csv, number_of, parse_csv
from handlers.scoring.errors import TooLargeError
from handlers.scoring.schema.signature import DATA_TYPES, Schema, read_schema
from tests.conformance.asking import ours
from tests.conformance.cases import CSV, column

pytestmark = pytest.mark.usefixtures("quiet")
KINDS = ("boolean", "integer", "long", "float", "double", "string", "binary")
CELLS = (
    ("1", "2"), ("1.0", "2"), ("1.5", "2"), ("", "2"), ("NA", "2"), ("NA", ""), ("0", "1"),
    ("1", "0.0"), ("-1", "+2"), (" 1", "2 "), ("1e2", "1E-2"), ("inf", "-Infinity"), (".5", "5."),
    ("True", "false"), ("true", "1"), ("1", "true"), ("TRUE", ""), ("nan", "1"), ("#N/A", "null"),
    ("2147483647", "-2147483648"), ("2147483648", "1"), ("-2147483649", "1"), ("1e39", "1"),
    ("9223372036854775807", "1"), ("9223372036854775808", "1"), ("9" * 400, "1"), ("1e400", "1"),
    ("1_000", "1"), ("\u0661", "1"), ("0x10", "1"), ("text", "1"), ("--1", "1"), ("1", "-"),
    ("e5", "1"),
    ("9007199254740993", "1"), ("9007199254740993.0", "1"), ("0.1", "2.675"), ("1e5", "7"),
)  # fmt: skip
"""Two rows of a column."""


def schema_of(*specs: tuple[str, str]) -> Schema:
    schema = read_schema([column(kind, name) for kind, name in specs])
    assert schema is not None
    return schema


def by_pandas(text: str, **dtypes: Any) -> Any:
    return pd.read_csv(io.StringIO(text), dtype=dtypes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cells", CELLS, ids=range(len(CELLS)))
def test_a_column_holds_what_pandas_reads(kind: str, cells: tuple[str, str]) -> None:
    text = "a,b\n" + "".join(f"0,{cell}\n" for cell in cells)
    schema = schema_of(("double", "a"), (kind, "b"))
    try:
        expected = by_pandas(text, b=DATA_TYPES[kind].dtype)["b"]
    except (ValueError, OverflowError):
        with pytest.raises(ValueError, match=r"."):
            parse_csv(text, schema)
        return

    actual = parse_csv(text, schema).columns["b"].cells

    assert repr(actual.tolist()) == repr(expected.tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("null", sorted(NULLS))
def test_every_null_of_pandas_is_one(kind: str, null: str) -> None:
    test_a_column_holds_what_pandas_reads(kind, (null, "1"))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        "a,b\r\n1,2\r\n3,4\r\n",
        "\ufeffa,b\n1,2\n",
        "a,b\n\n1,2\n   \n3,4\n",
        'a,b\n"1","2"\n',
        "a,b\n1\n3,4\n",
        'a,b\n"1,5",2\n',
        "a,b\n1,2,3\n",
        "a,b\n1,2\n1,2,3\n",
        "a,b\n7,1,2\n8,3,4\n",
        "a,b\n7,1,2\n8,3\n",
        "a,b\n6,7,1,2\n",
        "b,a\n1,2\n",
        "b,a,c\n1,2,3\n",
        "a,a,b\n1,2,3\n",
        "a,a.1,a,b\n1,2,3,4\n",
        "a,,b\n1,2,3\n",
        "a\n1\n",
        "a,b\n",
        "a,b",
        "\n",
        "",
        'a,b\n"1,2\n',
        '"a","b"\n1,2\n',
    ],
)  # fmt: skip
@pytest.mark.parametrize("kinds", [("double", "double"), ("long", "string")])
def test_a_body_is_the_same_to_the_model_as_by_pandas(text: str, kinds: tuple[str, str]) -> None:
    signature = {"inputs": [column(kinds[0], "a"), column(kinds[1], "b")]}
    seen = []

    class Keeping:
        def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
            seen.append([repr(np.asarray(data[name]).tolist()) for name in ("a", "b")])
            return [0.5]

    answers = [
        ours(signature, Keeping(), frame=frame).invocations(text.encode(), CSV)
        for frame in ("numpy", "pandas")
    ]

    assert answers[0].status == answers[1].status
    assert len(seen) == 2 * (answers[0].status == 200)
    assert not seen or seen[0] == seen[1]


@pytest.mark.parametrize(
    "body",
    ["a\nTrue\n\n", "a\nTrue\nNA\n", "a\nNA\nNA\n", "a\n1\n2\n", "a\n1\n2.5\n", "a\n1\nNA\n",
     "a\nx\n1\n", "a\n1 \n2\n", "a\n99999999999999999999\n1\n", "a\n1_0\n1\n"],
)  # fmt: skip
def test_a_column_of_which_nothing_is_said_is_what_pandas_takes_it_for(body: str) -> None:
    """Behind row labels, of an unnamed signature."""
    signature = {"inputs": [column("string", None)]}
    labelled = body.replace("a\n", "a,b\n", 1)
    lines = [f"{at},{line},z" for at, line in enumerate(labelled.splitlines()[1:]) if line]
    text = "\n".join(["a,b", *lines, ""]).encode()
    answers = [
        ours(signature, frame=frame).invocations(text, CSV).status for frame in ("numpy", "pandas")
    ]

    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["True", "false"], [True, False]),
        (["True", ""], [True, float("nan")]),
        (["", "NA"], [float("nan"), float("nan")]),
        (["1", " 2"], [1, 2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1", ""], [1.0, float("nan")]),
        (["x", "1"], ["x", "1"]),
        (["x", ""], ["x", float("nan")]),
    ],
)
def test_what_a_column_is_taken_for(cells: list[str], expected: list[Any]) -> None:
    made = delimited._infer_column(cells)

    assert repr(made.cells.tolist()) == repr(expected)
    assert made.text is isinstance(expected[0], str)


def test_rows_have_labels_where_they_are_longer_than_the_names() -> None:
    table = parse_csv("a,b\n7,1,2\n8,3,4\n", schema_of(("double", "a"), ("double", "b")))

    assert table.rows == 2
    assert table.index == ["7", "8"]
    assert table.columns["a"].cells.tolist() == [1.0, 3.0]
    assert parse_csv("a,b\n1,2\n", schema_of(("double", "a"))).index is None


@pytest.mark.parametrize("text", ["1", " 1.5e3\t", "-.5", "+5.", "INF", "-infinity", "1e-400"])
def test_a_number_is_read(text: str) -> None:
    assert number_of(text) == float(text)


@pytest.mark.parametrize("text", ["", "1_0", "\u0661", "0x1", "nan", "1e", ".", "e5", "1 2", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        number_of(text)


def test_times_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold times"):
        parse_csv("a\n2020-01-01\n", schema_of(("datetime", "a")))


def names(count: int, *, same: int = 0) -> str:
    return ",".join([*["a"] * same, *(f"c{at}" for at in range(count - same))])


@pytest.mark.parametrize(
    "text",
    [
        names(100_000),
        names(5000, same=1001),
        names(100, same=100) + "\n" + "1\n" * 1000,
        names(1000) + "\n" + ",".join(["1"] * 1000) + "\n" * 900,
        '"' + "\n" * 2000 + '",b\n1,2\n',
        "",
        "a",
        "a,b\n" + "1," * 1000 + "1,2\n",
        "\n \r\n" + names(3000) + "\n1,2",
        'a\n"' + "," * 5000 + '",2\n',
        "a\n1\n" + "," * 5000,
    ],
    ids=range(11),
)
def test_a_body_of_a_usual_size_is_read(text: str) -> None:
    check_csv(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (names(100_001), "at most 100000 columns"),
        (names(2000, same=1002), "More than 1000 columns have the name"),
        (names(5001, same=1001), "1000 have the name of another, and 0 names"),
        (names(4000, same=900) + "," + ",".join(f"a.{at}" for at in range(700)), "700 names are"),
        (names(1000) + "\n" * 2000, "2001 rows and 1000 columns"),
        ('"' + names(1000) + "\n" + names(1000) + '"' + "\n" * 1200, "columns was sent"),
        ("a,b\n" + "1," * 1002 + "1\n", "first row has 1003 cells, and the header 2"),
        ("a\n\n \n" + "," * 80_000, "first row has 80001 cells, and the header 1"),
        ('a\n"\n' + '",1' * 2 + ",1" * 1002, "labels of the rows"),
    ],
    ids=range(9),
)
def test_a_body_that_would_take_minutes_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TooLargeError, match=reason):
        check_csv(text)
