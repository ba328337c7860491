"""One bad cell costs its row, whatever is wrong with it and whatever it came in."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handlers.files import readers, writers
from handlers.files.chunks import Csv, split
from handlers.files.scoring import Fault, Rows, text_rows
from handlers.scoring.errors import InvalidInputError, ScoringError
from tests.conformance.asking import ours
from tests.conformance.cases import column

SIGNATURE: Any = {"inputs": [column("double", "a"), column("long", "b")]}
COUNT, BAD = 60, 23
_DAY = datetime(2024, 1, 2)  # noqa: DTZ001 - Parquet's without a zone
CELLS = {
    "no number": b"abc", "digits and a letter": b"1" * 9000 + b"x", "an exponent": b"1e400x",
    "bad UTF-8": b"\xff\xfe", "NUL": b"1\x002", "an open quote": b'"1', "a quote inside": b'1"',
    "an integer of 64 bits": b"9223372036854775808", "one of 65": b"18446744073709551616",
    "one below 64 bits": b"-9223372036854775809", "one of 400 digits": b"9" * 400,
    "a date": b"2024-13-45", "more cells": b"1,2", "no quote but two": b'""1""',
}  # fmt: skip
LINES = {
    "no JSON": b"{", "a text": b'"x"', "a number": b"5", "null": b"null",
    "bad UTF-8": b'{"a": "\xff"}',
    "another type": b'{"a": "x", "b": 1}',
    "an integer of 65 bits": b'{"a": 1, "b": 18446744073709551616}',
    "an integer below 64 bits": b'{"a": 1, "b": -9223372036854775809}',
    "an integer of 400 digits": b'{"a": 1, "b": ' + b"9" * 400 + b"}",
    "an integer of 5,000 digits": b'{"a": 1, "b": ' + b"9" * 5000 + b"}",
    "nested junk": b'{"a": [[1], {}], "b": {"c": []}}', "a key less": b'{"a": 1}',
    "too deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b', "b": 1}',
    "a lone surrogate": b'{"a": "\\ud800", "b": 1}', "a NUL": b'{"a": "\\u0000", "b": 1}',
}  # fmt: skip


class Source:
    def __init__(self, key: str, body: bytes) -> None:
        self.key, self._body, self.size_bytes = key, body, len(body)

    def blocks(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), 50_000):
            yield self._body[start : start + 50_000]

    def between(self, start: int, stop: int) -> bytes:
        return self._body[start:stop]


class Twice:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return np.asarray(data["a"]) * 2


def answers(
    name: str, body: bytes, frame: str, chunk_bytes: int = 200_000, signature: Any = SIGNATURE
) -> list[Any]:
    rows = Rows(ours(signature, Twice(), frame=frame), 5)
    chunks = readers.read(Source(name, body), chunk_bytes)
    return [answer for chunk in chunks for answer in rows.answers(chunk)]


def expect_one_fault(found: list[Any]) -> None:
    assert len(found) == COUNT
    assert [place for place, answer in enumerate(found) if isinstance(answer, Fault)] == [BAD]
    assert [answer for answer in found if not isinstance(answer, Fault)] == [3.0] * (COUNT - 1)


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("chunk_bytes", [64, 200_000])
def test_a_bad_cell_of_a_csv_file_costs_its_row(kind: str, frame: str, chunk_bytes: int) -> None:
    rows = [b"1.5,2"] * COUNT
    rows[BAD] = b"1.5," + CELLS[kind]
    if chunk_bytes < len(rows[BAD]):
        chunk_bytes = 2000
    body = b"\n".join([b"a,b", *rows]) + b"\n"

    expect_one_fault(answers("a.csv", body, frame, chunk_bytes))


@pytest.mark.parametrize("digits", [309, 5000])
def test_an_integer_of_any_length_is_one_in_a_csv_file(digits: int) -> None:
    rows = [b"1.5,2"] * COUNT
    rows[BAD] = b"9" * digits + b",2"

    found = answers("a.csv", b"\n".join([b"a,b", *rows]), "numpy")

    assert found == [3.0] * BAD + [float("inf")] + [3.0] * (COUNT - BAD - 1)


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_bad_line_costs_its_row(kind: str, name: str, frame: str) -> None:
    rows = [b'{"a": 1.5, "b": 2}'] * COUNT
    rows[BAD] = LINES[kind]
    if name == "a.json" and kind == "no JSON":
        pytest.skip("a list that is no JSON is none anywhere")
    body = b"\n".join(rows) if name == "a.jsonl" else b"[" + b", ".join(rows) + b"]"

    expect_one_fault(answers(name, body, frame))


PARQUET: dict[str, tuple[str, Any, Any, Any]] = {
    "a gap among whole numbers": ("long", pa.int64(), 2, None),
    "a gap among large numbers": ("long", pa.int64(), 2**60 + 1, None),
    "a gap among short numbers": ("integer", pa.int32(), 2, None),
    "a gap among texts": ("string", pa.string(), b"x", b"\xff\xfe"),
    "a day beyond nanoseconds": ("datetime", pa.timestamp("us"), _DAY, _DAY.replace(year=9999)),
    "a day before them": ("datetime", pa.timestamp("ms"), _DAY, _DAY.replace(year=1)),
    "a date beyond them": ("datetime", pa.date32(), _DAY.date(), _DAY.date().replace(year=9999)),
}


@pytest.mark.parametrize("kind", PARQUET)
@pytest.mark.parametrize("chunk_bytes", [64, 200_000])
def test_a_bad_cell_of_a_parquet_file_costs_its_row(kind: str, chunk_bytes: int) -> None:
    type_, stored, good, bad = PARQUET[kind]
    cells = [good] * COUNT
    cells[BAD] = bad
    held = pa.array(cells, pa.binary() if isinstance(bad, bytes) else stored)
    if isinstance(bad, bytes):  # what is no UTF-8 is not looked at where it is written
        held = pa.Array.from_buffers(stored, COUNT, held.buffers())
    signature = {"inputs": [column("double", "a"), column(type_, "b")]}

    found = answers("a.parquet", parquet([1.5] * COUNT, held), "pandas", chunk_bytes, signature)

    expect_one_fault(found)


@pytest.mark.parametrize("place", ["the first page", "the last page", "the footer", "the end"])
def test_a_damaged_parquet_file_is_refused_and_does_not_come_again(place: str) -> None:
    body = bytearray(parquet(list(range(2000)), pa.array(range(2000)), row_group_size=500))
    size = int.from_bytes(body[-8:-4], "little")
    footer = len(body) - 8 - size
    last = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(3).column(1).data_page_offset
    at = {"the first page": 4, "the last page": last, "the footer": footer, "the end": -8}[place]
    body[at : at + 8] = b"\xff" * 8 if at > 0 else bytes(8)

    with pytest.raises(ScoringError, match="damaged") as refused:
        answers("a.parquet", bytes(body), "pandas")

    assert refused.value.__cause__ is None


@pytest.mark.parametrize("error", [ConnectionError("broke off"), MemoryError()])
def test_what_the_source_of_a_parquet_file_raises_is_passed_on(error: Exception) -> None:
    class Failing(Source):
        def between(self, start: int, stop: int) -> bytes:
            if start < 1000:
                raise error
            return super().between(start, stop)

    body = parquet(list(range(2000)), pa.array(range(2000)))

    with pytest.raises(type(error)) as raised:
        list(readers.read(Failing("a.parquet", body), 200_000))

    assert raised.value is error


def parquet(numbers: list[float], others: Any, **options: Any) -> bytes:
    made = io.BytesIO()
    table = pa.table({"a": pa.array(numbers, pa.float64()), "b": others})
    pq.write_table(table, made, **options)
    return made.getvalue()


def test_a_fault_of_ours_costs_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from handlers.scoring.scorer import Scorer

    read = Scorer.read

    def failing(self: Scorer, body: bytes, content_type: str | None) -> Any:
        if b"7.25" in body:
            raise KeyError("what was sent")
        return read(self, body, content_type)

    monkeypatch.setattr(Scorer, "read", failing)
    rows = [b"1.5,2"] * COUNT
    rows[BAD] = b"7.25,2"

    found = answers("a.csv", b"\n".join([b"a,b", *rows]), "numpy")

    expect_one_fault(found)
    assert found[BAD] == Fault("INTERNAL_ERROR", "The row could not be read.")


@pytest.mark.parametrize(
    "bad",
    [5, None, {}, {"a": "1"}, {"b": "1", "a": "x"}, {"a": "\ud800", "b": "2"}, {"a": {}, "b": []}],
)
def test_a_bad_row_of_text_costs_itself(bad: Any) -> None:
    rows: list[Any] = [{"a": "1.5", "b": "2"}] * 20
    rows[7] = bad

    found = text_rows(ours(SIGNATURE, Twice()), rows)

    assert [place for place, each in enumerate(found) if isinstance(each, Exception)] == [7]
    assert {
        json.loads(each.body)["predictions"][0] for each in found if not isinstance(each, Exception)
    } == {3.0}


class Echo:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return [f"{value}." for value in data["a"]]


ONE_TEXT: Any = {"inputs": [column("string", "a")]}


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r", "\r\n", " \n\n "])
def test_a_row_whose_only_text_is_blank_has_an_answer_of_its_own(frame: str, blank: str) -> None:
    texts = ["x", blank, "z", blank]

    found = text_rows(ours(ONE_TEXT, Echo(), frame=frame), [{"a": text} for text in texts])

    bodies = [each.body for each in found if not isinstance(each, Exception)]
    assert [json.loads(body)["predictions"] for body in bodies] == [[f"{t}."] for t in texts]


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_a_line_of_blanks_is_no_row_of_a_file(frame: str) -> None:
    body = b'a\nx\n \n"\t"\n\n\t\nz\n'

    assert answers("a.csv", body, frame, signature=ONE_TEXT) == ["xx", "\t\t", "zz"]


def test_rows_of_text_that_are_read_as_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rows, "answers", lambda *_: [1.0])

    with pytest.raises(ScoringError, match="2 rows of text were read as 1"):
        text_rows(ours(SIGNATURE, Twice()), [{"a": "1", "b": "2"}] * 2)


class _OldWriter:
    """As csv.writer before Python 3.11."""

    def __init__(self, text: io.StringIO, **options: Any) -> None:
        self._write = _WRITER(text, **options).writerow

    def writerow(self, cells: Any) -> None:
        if any("\0" in cell for cell in cells if isinstance(cell, str)):
            msg = "need to escape, but no escapechar set"
            raise csv.Error(msg)
        self._write(cells)


def _read_as_before(lines: Any) -> Iterator[list[str]]:
    for line in lines:
        if "\0" in line:
            msg = "line contains NUL"
            raise csv.Error(msg)
        yield from _READER([line])


_READER, _WRITER = csv.reader, csv.writer


@pytest.mark.parametrize("others", [{}, {"b": "2"}])
def test_a_nul_in_an_item_costs_no_other(
    others: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv, "writer", _OldWriter)
    specs = [column("string", "a"), *(column("long", name) for name in others)]
    scorer = ours({"inputs": specs}, Echo(), frame="pandas")

    found = text_rows(scorer, [{"a": text, **others} for text in ("x", 'y\0"', "z")])

    bodies = [each.body for each in found if not isinstance(each, Exception)]
    assert [json.loads(body)["predictions"] for body in bodies] == [["x."], ['y\0".'], ["z."]]


def test_a_nul_in_an_answer_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "writer", _OldWriter)
    told = [{"a\0": "x", "b": 1.5}, {"a\0": '"\0', "b": None}, Fault("BAD_REQUEST", "a \0, b")]
    writer = writers.Csv()

    text = (writer.rows(told) + writer.end(3)).decode()

    assert text.splitlines() == [
        '"a\0","b","error"',
        "x,1.5,",
        '"""\0","",""',
        '"","","BAD_REQUEST: a \0, b"',
    ]


def test_a_row_with_a_nul_is_held_to_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "reader", _read_as_before)

    with pytest.raises(InvalidInputError, match="has 3 cells, and the first has 2"):
        Csv(b"a,b\n", b"1\0,2,3\n4,5\n", 2).read(ours(SIGNATURE, Twice(), frame="pandas"))


def test_cells_are_counted_however_long_they_are() -> None:
    code = (
        "from handlers.files.chunks import count_cells; print(count_cells(b'x' * 200_000 + b',2'))"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert told.stdout == b"2\n"


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_rows_name_columns_that_are_numbers_by_their_text(
    name: str, count: int, frame: str
) -> None:
    class Sum:
        def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
            return np.asarray(data[2023]) + np.asarray(data[2024])

    specs = [{**column("double"), "name": each} for each in (2023, 2024)]
    rows = [json.dumps({"2023": 1.5, "2024": at}) for at in range(count)]
    text = "\n".join(rows) if name == "a.jsonl" else f"[{', '.join(rows)}]"
    scorer = ours({"inputs": specs}, Sum(), frame=frame)

    chunks = readers.read(Source(name, text.encode()), 200_000)

    found = [answer for chunk in chunks for answer in Rows(scorer, 0).answers(chunk)]
    assert found == [1.5 + at for at in range(count)]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (b'1,"a\nb"\n2,c\n', [b'1,"a\nb"\n', b"2,c\n"]),
        (b'1,5" pipe\n2,6\n', [b'1,5" pipe\n', b"2,6\n"]),
        (b'1,"a""\n""b"\n\n2,c', [b'1,"a""\n""b"\n', b"2,c"]),
        (b'1,"open\n2,b\n3,"c"\n', [b'1,"open\n2,b\n3,"c"\n']),
        (b'1,"open\n2,b\n3,c\n', [b'1,"open\n', b"2,b\n", b"3,c\n"]),
        (b'"', [b'"']),
        (b"", []),
    ],
)
def test_records_end_where_their_last_line_does(text: bytes, records: list[bytes]) -> None:
    assert split(text) == records


@pytest.mark.few(2)
@pytest.mark.parametrize("unit", [b'"\n', b'x"\n', b',"\n', b'""\n', b"\n", b'"a"\n', b',""\n'])
def test_cutting_takes_time_by_the_size(unit: bytes) -> None:
    body = b'a,b\n1,"' + unit * 200_000

    assert sum(len(chunk.records) for chunk in readers._read_csv(iter([body]), 100_000)) > 0
    assert split(body)
