"""Whatever rows a file has, and wherever it is cut: each row has its own answer, in its place."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.files import readers
from handlers.files.scoring import Fault, Rows, text_rows
from handlers.scoring.errors import ScoringError
from tests.handlers.scorers import scorer
from tests.handlers.scoring.test_together import POISON, Doubling

BLOCKS, CHUNKS = st.integers(1, 200), st.integers(16, 200)
GOOD = st.floats(-1e6, 1e6).map(lambda x: {"x": x, "kind": "a"})
WORDS = st.text(st.sampled_from("a \",\n\r'é価"), max_size=6).map(lambda t: f"w{t}")
ROWS = st.one_of(
    GOOD,
    st.builds(lambda x, kind: {"x": x, "kind": kind}, st.floats(-1e3, 1e3), WORDS),
    st.just({"x": POISON, "kind": "a"}),
    st.just({"x": "no number", "kind": "a"}),
)
FORMS = st.one_of(
    GOOD,
    st.integers(-1000, 1000).map(lambda x: {"x": x, "kind": "a"}),
    st.floats(-1e6, 1e6).map(lambda x: {"kind": "a", "x": x}),
    st.sampled_from([
        {"x": None, "kind": "a"}, {"x": 1.0, "kind": None}, {"x": 1.0}, {"x": 1.0, "kind": ["a"]},
        {"x": POISON, "kind": "a"}, {"x": True, "kind": "a"}, {},
    ]),
)  # fmt: skip


class Memory:
    """A file in memory, read in blocks of some size."""

    def __init__(self, key: str, body: bytes, block: int) -> None:
        self.key, self.body, self._block = key, body, block
        self.size_bytes = len(body)

    def blocks(self) -> Iterator[bytes]:
        for start in range(0, len(self.body), self._block):
            yield self.body[start : start + self._block]

    def between(self, start: int, stop: int) -> bytes:
        return self.body[start:stop]


def scored(key: str, body: bytes, block: int, chunk: int) -> list[Any]:
    rows = Rows(scorer(Doubling()), 10_000)
    source = Memory(key, body, block)
    found = [answer for part in readers.read(source, chunk) for answer in rows.answers(part)]
    assert rows.counted == len(found)
    assert rows.bad == sum(isinstance(answer, Fault) for answer in found)
    return found


def alone(row: dict[str, Any]) -> Any:
    made = scorer(Doubling())
    try:
        return made.invoke({"dataframe_records": [row]})["predictions"][0]
    except ScoringError:
        return Fault


def alike(found: list[Any], rows: list[dict[str, Any]]) -> None:
    """Each as by itself; NaN is written as null."""
    answers = [Fault if isinstance(answer, Fault) else answer for answer in found]
    assert list(map(written, answers)) == [written(alone(row)) for row in rows]


def written(answer: Any) -> Any:
    return None if isinstance(answer, float) and math.isnan(answer) else answer


@settings(deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=20), block=BLOCKS, chunk=CHUNKS)
def test_csv(rows: list[dict[str, Any]], block: int, chunk: int) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["x", "kind"], lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    alike(scored("a.csv", text.getvalue().encode(), block, chunk), rows)


@settings(deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=20), block=BLOCKS, chunk=CHUNKS)
def test_json_lines(rows: list[dict[str, Any]], block: int, chunk: int) -> None:
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    alike(scored("a.jsonl", body, block, chunk), rows)


@settings(deadline=None)
@given(rows=st.lists(FORMS, min_size=1, max_size=80))
def test_rows_of_several_forms(rows: list[dict[str, Any]]) -> None:
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    alike(scored("a.jsonl", body, 1000, 100_000), rows)


@settings(deadline=None)
@given(
    rows=st.lists(ROWS, min_size=1, max_size=20),
    block=BLOCKS,
    chunk=CHUNKS,
    indent=st.sampled_from([None, 0, 2]),
    ascii_=st.booleans(),
)
def test_a_json_list(
    rows: list[dict[str, Any]], block: int, chunk: int, indent: int | None, *, ascii_: bool
) -> None:
    body = json.dumps(rows, indent=indent, ensure_ascii=ascii_).encode()
    alike(scored("a.json", body, block, chunk), rows)


@settings(deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=20))
@example(rows=[{"x": 0.0, "kind": "w\ra"}])
def test_rows_of_text(rows: list[dict[str, Any]]) -> None:
    cells = [{name: str(value) for name, value in row.items()} for row in rows]
    results = text_rows(scorer(Doubling()), cells)
    found = [
        Fault("", "") if isinstance(each, ScoringError) else json.loads(each.body)["predictions"][0]
        for each in results
    ]
    alike(found, rows)


@settings(deadline=None)
@given(body=st.binary(max_size=300), ending=st.sampled_from(["csv", "jsonl", "json"]), chunk=CHUNKS)
def test_any_bytes_are_answered_or_refused(body: bytes, ending: str, chunk: int) -> None:
    try:
        scored(f"a.{ending}", body, 50, chunk)
    except ScoringError as error:
        said = error.message
        assert said
