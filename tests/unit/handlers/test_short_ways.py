"""Large tables of numbers take the short ways, and whatever is out of the ordinary takes none."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from typing import Any
from unittest import mock

import numpy as np
import pytest

from handlers.scoring import fast_json, fast_tables, row_spans
from handlers.scoring.plain.reader import PlainReader
from handlers.scoring.schema.signature import read_schema
from tests.conformance.asking import ours
from tests.conformance.cases import column

ROWS = [[1.5, 2.0], [3.25, -4.0]]


_READER: dict[str, type[fast_tables.Reader]] = {"made": fast_tables.Reader}
"""The one that a test is run with: numpy's or that of the frame `plain`."""


@pytest.fixture(autouse=True, params=[fast_tables.Reader, PlainReader])
def _all_is_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_json, "LARGE_BYTES", 1)
    monkeypatch.setitem(_READER, "made", request.param)


def reader(*kinds: str) -> fast_tables.Reader:
    names = "abcdef"
    specs = [column(kind, name) for kind, name in zip(kinds, names, strict=False)]
    return _READER["made"](read_schema(specs))


def read(body: str, *kinds: str) -> Any:
    """Columns and parameters, or None for the general way."""
    found = reader(*(kinds or ("double", "double"))).json(body.encode())
    if found is None:
        return None
    data, params = found
    columns = data if isinstance(data, dict) else {n: c.cells for n, c in data.columns.items()}
    return {name: cells.tolist() for name, cells in columns.items()}, params


AS_COLUMNS = {"a": [1.5, 3.25], "b": [2.0, -4.0]}
SPLIT = '{"dataframe_split": {"columns": ["a", "b"], "data": %s}}'
PARAMS = '{"dataframe_split": {"columns": ["a", "b"], "data": %s}, "params": {"p": 1}}'
RECORDS = '[{"a": 1.5, "b": 2.0}, {"b": -4.0, "a": 3.25}]'


@pytest.mark.parametrize("parser", ["simdjson", "msgspec", "json"])
@pytest.mark.parametrize(
    ("body", "params"),
    [
        (SPLIT % "[[1.5, 2.0], [3.25, -4.0]]", None),
        (SPLIT % "[[1.5,2.0],[3.25,-4.0]]", None),
        (PARAMS % "[[1.5, 2.0], [3.25, -4.0]]", {"p": 1}),
        ('{"inputs": {"a": [1.5, 3.25], "b": [2.0, -4.0]}}', None),
        ('{"inputs": {"b": [2.0, -4.0], "a": [1.5, 3.25]}, "params": {"p": 1}}', {"p": 1}),
    ],
    ids=range(5),
)
def test_a_table_as_clients_write_it_is_cut_out(
    body: str, params: Any, parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if parser != "simdjson":
        monkeypatch.setattr(fast_json, "number_parser", lambda: None)
    if parser == "json":
        monkeypatch.setattr(fast_json, "msgspec", lambda: None)

    assert read(body) == (AS_COLUMNS, params)


@pytest.mark.parametrize(
    ("body", "params"),
    [
        (SPLIT % "[ [1.5, 2.0],  [3.25, -4.0] ]", None),
        (PARAMS % "[ [1.5, 2.0],  [3.25, -4.0] ]", {"p": 1}),
        ('{"dataframe_records": ' + RECORDS + "}", None),
        ('{"dataframe_records": ' + RECORDS + ', "params": {"p": 1}}', {"p": 1}),
        ('{"inputs": {"a": [1.5, 3.25], "b": [2.0, -4.0]}, "params": [1]}', [1]),
    ],
    ids=range(5),
)
def test_a_table_in_another_form_is_decoded_by_its_types(body: str, params: Any) -> None:
    assert read(body) == (AS_COLUMNS, params)


def test_of_a_name_that_is_there_twice_the_last_counts() -> None:
    assert read('{"inputs": {"a": [1.5], "a": [2.5]}}') == ({"a": [2.5]}, None)


def test_columns_that_nobody_asked_for_are_left_out() -> None:
    body = '{"dataframe_split": {"columns": ["z", "b", "a"], "data": [[9, 2, 1], [9, 4, 3]]}}'

    assert read(body) == ({"a": [1.0, 3.0], "b": [2.0, 4.0]}, None)


@pytest.mark.parametrize(
    "body",
    [
        SPLIT % "[[1.5, 2.0], [3.25]]",
        SPLIT % "[[1.5, 2.0, 3.0]]",
        SPLIT % "[[1.5, null]]",
        SPLIT % '[["1.5", 2.0]]',
        SPLIT % "[[1.5, true]]",
        SPLIT % "[]",
        '{"dataframe_split": {"columns": "ab", "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": [{}, "b"], "data": [[1, 2]]}}',
        SPLIT % "[[]]",
        SPLIT % "[[1.5, 2.0],]",
        SPLIT % f"[[1{'0' * 400}, 2]]",
        '{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "c"], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "index": [0]}}',
        '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}, "instances": []}',
        '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}, "inputs": {"a": [1]}}',
        '{"dataframe_records": []}',
        '{"dataframe_records": [{"a": 1.5}]}',
        '{"dataframe_records": [{"a": 1.5, "b": 2.0, "c": 1.0}]}',
        '{"inputs": {"a": [1.5], "c": [1.5]}}',
        '{"inputs": {"a": [[1.5]]}}',
        '{"inputs": {"a": "x"}}',
        '{"inputs": {}}',
        '{"params": {}}',
        "{",
        "[[1, 2]]",
        "",
    ],
    ids=range(27),
)
def test_what_is_out_of_the_ordinary_goes_the_general_way(body: str) -> None:
    assert read(body) is None


@pytest.mark.parametrize("kinds", [(), ("long", "double"), ("double", "string")])
def test_only_a_signature_of_floats_has_a_short_way(kinds: tuple[str, ...]) -> None:
    body = (SPLIT % "[[1, 2]]").encode()
    made = reader(*kinds) if kinds else _READER["made"](None)

    assert made.json(body) is None
    assert made.csv("a,b\n1,2\n") is None
    unnamed = _READER["made"](read_schema([column("double", None), column("double", None)]))
    assert unnamed.json(body) is None


def test_a_small_body_takes_no_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    body = SPLIT % "[[1, 2]]"
    monkeypatch.setattr(fast_json, "LARGE_BYTES", len(body))
    assert read(body) is not None
    monkeypatch.setattr(fast_json, "LARGE_BYTES", len(body) + 1)
    assert read(body) is None


@pytest.mark.parametrize(
    ("value", "is_read"),
    [(2**53 - 1, True), (2**53, False), (-(2**53), False), (0.1, True)],
)
def test_a_float_column_takes_what_was_rounded_once_alone(value: float, *, is_read: bool) -> None:
    body = f'{{"dataframe_split": {{"columns": ["a"], "data": [[{value}]]}}}}'
    found = read(body, "float")

    assert (found is not None) is is_read
    assert read(body, "double") is not None
    if found is not None:
        assert found[0]["a"] == [float(np.float32(value))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1.5,2\n3.25,-4\n", AS_COLUMNS),
        ("a,b\r\n1.5,2\r\n3.25,-4\r\n", AS_COLUMNS),
        ("a,b\n1.5,2\n3.25,-4", AS_COLUMNS),
        ("b,a,z\n2,1.5,0\n-4,3.25,0\n", AS_COLUMNS),
        ("a,b\n0,-0.0\n", {"a": [0.0], "b": [-0.0]}),
        ("a,b\n-0,1\n", None),
        ("a,b\n0,0\n", {"a": [0.0], "b": [0.0]}),
        ("a,b\n1,2\n3\n", None),
        ("a,b\n1,2,3\n", None),
        ("a,b\n1,\n", None),
        ("a,b\n1,x\n", None),
        ("a,b\n1,\u0662\n", None),
        ("a,b\n1,2\r3,4\n", None),
        ("a,b\n1,2\n\n3,4\n", None),
        ("a,b\n", None),
        ("a,b", None),
        ("a,\n1,2\n", None),
        (" \n1\n", None),
        ('"a",b\n1,2\n', None),
        ("\ufeffa,b\n1,2\n", None),
        ("a,a\n1,2\n", None),
        ("a,c\n1,2\n", None),
        ("", None),
    ],
    ids=range(23),
)
def test_csv_of_numbers_alone_takes_the_short_way(
    text: str, expected: dict[str, list[float]] | None
) -> None:
    table = reader("double", "double").csv(text)

    assert (table is None) is (expected is None)
    if table is not None:
        made = {name: made.cells.tolist() for name, made in table.columns.items()}
        assert repr(made) == repr(expected)
        assert table.rows == len(made["a"])


@pytest.mark.parametrize(
    ("body", "span"),
    [
        (b"[[1], [2]]", (0, 10)),
        (b'{"data": [[1], [2]]}', (9, 19)),
        (b'{"columns": ["a"], "data": [[1], [2]]}', (27, 37)),
        (b'{"data": [[1], [2]], "params": {"p": 1}}', (9, 19)),
        (b"[[1], [2]", (0, 0)),
        (b"[1], [2]]", (0, 0)),
        (b"[[]]", (0, 4)),
        (b"[]", (0, 0)),
        (b"", (0, 0)),
        (b"]][[", (0, 0)),
        (b'["a", ' * 999 + b"[[1]]", (5994, 5999)),
        (b'["a", ' * 2000 + b"[[1]]", (0, 0)),
    ],
    ids=range(12),
)
def test_rows_are_found_by_their_brackets(body: bytes, span: tuple[int, int]) -> None:
    assert row_spans.rows_of(body) == span


@pytest.mark.parametrize(
    ("body", "around", "lists"),
    [
        (b'{"a": [1, 2], "b": [3]}', [b'{"a": ', b', "b": ', b"}"], [b"1, 2", b"3"]),
        (b"[]", [b"", b""], [b""]),
        (b"[" * 1000 + b"]" * 1000, [], []),
        (b"[]" * 1000, [b""] * 1001, [b""] * 1000),
        (b"[]" * 1001, [], []),
        (b"[[]", [], []),
        (b"][", [], []),
        (b"{}", [], []),
    ],
    ids=range(8),
)
def test_lists_are_cut_out_by_their_brackets(
    body: bytes, around: list[bytes], lists: list[bytes]
) -> None:
    assert row_spans.lists_of(body) == (around, lists)


@pytest.mark.parametrize(
    ("rows", "width"),
    [
        (b"[1, 2], [3, 4]", 2),
        (b"[1,2],[3,4]", 2),
        (b"[1]", 1),
        (b"[1],[2],[3]", 1),
        (b"[1, 2], [3]", None),
        (b"[1], [2, 3]", None),
        (b"[1, 2],[3, 4], [5, 6]", None),
        (b"[1, 2], [3, 4],[5, 6]", None),
        (b"[1, 2] [3, 4]", None),
        (b"[[1, 2], [3, 4]", None),
        (b"[1,2];[3,4]", None),
        (b"[1, 2], [3, 4", None),
    ],
    ids=range(12),
)
def test_the_width_of_rows_is_that_of_each(rows: bytes, width: int | None) -> None:
    assert row_spans.measure_brackets(rows) == width


@pytest.mark.parametrize(
    ("lines", "width"),
    [(b"1,2\n3,4", 2), (b"1", 1), (b"1\n2", 1), (b"1,2\n3", None), (b"1\n2,3", None), (b"", None),
     (b"1,2\n", None), (b"1,2\n\n3,4", None)],
    ids=range(8),
)  # fmt: skip
def test_the_width_of_lines_is_that_of_each(lines: bytes, width: int | None) -> None:
    assert row_spans.measure_lines(np.frombuffer(lines, np.uint8)) == width


@pytest.mark.parametrize(
    ("values", "is_written"),
    [
        ([0.0001, 1.5], True),
        ([0.00009, 1.5], False),
        ([1e16, 1.5], False),
        ([np.nextafter(1e16, 0), 1.5], True),
        ([-0.0001, -1.5], True),
        ([-1e16], False),
        ([0.0, -0.0], True),
        ([float("nan")], False),
        ([float("inf")], False),
        ([], False),
    ],
    ids=range(10),
)
def test_floats_are_written_where_no_exponent_is_needed(
    values: list[float], *, is_written: bool
) -> None:
    written = fast_json.encode_numbers(np.array(values))

    assert written == (json.dumps(values) if is_written else None)


@pytest.mark.parametrize("dtype", ["i8", "u1", "f4", "f8"])
def test_whole_numbers_are_written(dtype: str) -> None:
    values = np.arange(1, 7, dtype=dtype).reshape(2, 3)
    assert fast_json.encode_numbers(values) == json.dumps(values.tolist())


@pytest.mark.parametrize("dtype", ["O", "U3", "?", "M8[s]", "longdouble", "c16"])
def test_what_is_no_number_of_json_s_is_not_written(dtype: str) -> None:
    assert fast_json.encode_numbers(np.zeros(3).astype(dtype)) is None


def test_only_large_answers_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.ones(4)
    monkeypatch.setattr(fast_json, "LARGE_BYTES", values.nbytes)
    assert fast_json.encode_numbers(values) is not None
    monkeypatch.setattr(fast_json, "LARGE_BYTES", values.nbytes + 1)
    assert fast_json.encode_numbers(values) is None


def test_the_collector_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with fast_json.collector_paused(when=True):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_parser_is_kept_by_a_thread_and_done_without_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = fast_json.number_parser()
    assert first is not None
    assert fast_json.number_parser() is first

    monkeypatch.setattr(fast_json, "_parsers", type("Empty", (), {})())
    monkeypatch.setitem(sys.modules, "simdjson", None)
    monkeypatch.setitem(sys.modules, "msgspec", None)
    fast_json.msgspec.cache_clear()
    assert fast_json.number_parser() is None
    assert fast_json.msgspec() is None
    assert read(SPLIT % "[[1.5, 2.0], [3.25, -4.0]]") == (AS_COLUMNS, None)
    assert read('{"dataframe_records": ' + RECORDS + "}") is None
    monkeypatch.delitem(sys.modules, "simdjson")
    monkeypatch.delitem(sys.modules, "msgspec")
    looked_for_once = fast_json.number_parser() is fast_json.msgspec() is None
    fast_json.msgspec.cache_clear()
    assert looked_for_once


@pytest.mark.parametrize(
    "text",
    ["[NaN]", "[18446744073709551616]", '["\\ud800"]', "[1e400]", '{"a": 1, "a": 2}', "[-0]"],
)
def test_what_the_fast_parser_refuses_json_reads(text: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(fast_json, "LARGE_BYTES", 0)

    assert repr(fast_json.decode(text.encode())) == repr(json.loads(text))


def test_without_the_fast_parser_all_is_read_by_json(monkeypatch: Any) -> None:
    monkeypatch.setattr(fast_json, "msgspec", lambda: None)
    monkeypatch.setattr(fast_json, "LARGE_BYTES", 0)
    scorer = ours({"inputs": [column("double", "a")]})

    answer = scorer.invocations(b'{"inputs": {"a": [1.5]}}', "application/json")

    assert answer.status == 200
    assert fast_json.encode_numbers(np.array([1.5])) is None


def test_the_collector_runs_again_however_the_pauses_nest() -> None:
    with fast_json.collector_paused(when=True):
        with contextlib.suppress(ValueError), fast_json.collector_paused(when=True):
            assert not gc.isenabled()
            raise ValueError
        assert not gc.isenabled()
    assert gc.isenabled()
    with fast_json.collector_paused(when=False):
        assert gc.isenabled()


def test_many_small_bodies_repay_the_parser_too(monkeypatch: Any) -> None:
    asked = mock.Mock(wraps=fast_json.msgspec)
    monkeypatch.setattr(fast_json, "msgspec", asked)
    monkeypatch.setattr(fast_json, "LARGE_BYTES", 1000)
    monkeypatch.setattr(fast_json, "REPAID_BYTES", 100)
    monkeypatch.setattr(fast_json, "_decoded_bytes", 0)
    body = b'{"inputs": [[1, 2.5, null]]}'
    assert [fast_json.decode(body) for _ in range(5)] == [json.loads(body)] * 5
    assert asked.call_count == 2, "the fourth and the fifth, of 28 bytes each"
