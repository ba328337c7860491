"""One bad cell costs its row, whatever is wrong with it and whatever it came in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from handlers.files import readers
from handlers.files.chunks import split
from handlers.files.scoring import Fault, Rows, text_rows
from tests.conformance.asking import ours
from tests.conformance.cases import column

SIGNATURE: Any = {"inputs": [column("double", "a"), column("long", "b")]}
COUNT, BAD = 60, 23
CELLS = {
    "no number": b"abc", "digits and a letter": b"1" * 9000 + b"x", "an exponent": b"1e400x",
    "bad UTF-8": b"\xff\xfe", "NUL": b"1\x002", "an open quote": b'"1', "a quote inside": b'1"',
    "a date": b"2024-13-45", "more cells": b"1,2", "no quote but two": b'""1""',
}  # fmt: skip
LINES = {
    "no JSON": b"{", "a text": b'"x"', "a number": b"5", "null": b"null",
    "bad UTF-8": b'{"a": "\xff"}',
    "another type": b'{"a": "x", "b": 1}',
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


def answers(name: str, body: bytes, frame: str, chunk_bytes: int = 200_000) -> list[Any]:
    rows = Rows(ours(SIGNATURE, Twice(), frame=frame), 5)
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


def test_a_fault_of_ours_costs_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from handlers.scoring import Scorer

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


@pytest.mark.parametrize("unit", [b'"\n', b'x"\n', b',"\n', b'""\n', b"\n", b'"a"\n', b',""\n'])
def test_cutting_takes_time_by_the_size(unit: bytes) -> None:
    body = b'a,b\n1,"' + unit * 200_000

    assert sum(len(chunk.records) for chunk in readers._csv(iter([body]), 100_000)) > 0
    assert split(body)
