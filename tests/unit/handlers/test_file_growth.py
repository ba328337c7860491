"""What a file costs grows with its bytes, whatever is in it, and a bad row costs its row."""

from __future__ import annotations

import contextlib
import gc
import io
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import pytest

from handlers.files import readers
from handlers.files.chunks import Batch, Csv, Lines
from handlers.files.scoring import Rows
from handlers.scoring.errors import ScoringError
from tests.conformance.asking import ours
from tests.fuzz.growing import DOUBLES

pytestmark = pytest.mark.usefixtures("quiet")
CHUNK_BYTES = 64 * 1024
LONGEST = 16 * CHUNK_BYTES
"""Of a row that is waited for."""
HEAD = b"a,b,x\n"


class File:
    """An object of S3, whose blocks are a sixteenth of a chunk."""

    def __init__(self, key: str, data: bytes) -> None:
        self.key, self._data = key, data
        self.size_bytes = len(data)

    def blocks(self) -> Iterator[bytes]:
        step = CHUNK_BYTES // 16
        for start in range(0, self.size_bytes, step):
            yield self._data[start : start + step]

    def between(self, start: int, stop: int) -> bytes:
        return self._data[start:stop]


class Counting:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return [0.5] * len(next(iter(data.values())) if isinstance(data, dict) else data)


def read(name: str, data: bytes) -> list[readers.Part]:
    return list(readers.read(File(name, data), CHUNK_BYTES))


def score(name: str, data: bytes) -> Rows:
    rows = Rows(ours(DOUBLES, Counting(), frame="numpy"), 1000)
    for part in readers.read(File(name, data), CHUNK_BYTES):
        rows.answers(part)
    return rows


FORMS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "an item that does not end": ("f.json", lambda n: b"[[" + b"1," * (n // 2)),
    "an item too deep to parse": ("f.json", lambda n: b"[" + b"[" * n),
    "an item of objects": ("f.json", lambda n: b"[" + b'{"a":' * (n // 5)),
    "a text that does not end": ("f.json", lambda n: b'[{"a":"' + b"1" * n),
    "a number that does not end": ("f.json", lambda n: b"[" + b"9" * n),
    "blanks": ("f.json", lambda n: b"[" + b" " * n + b"]"),
    "a row that does not end": ("f.csv", lambda n: HEAD + b"1" * n),
    "a quote that does not end": ("f.csv", lambda n: HEAD + b'1,2,"' + b"1,2,3\n" * (n // 6)),
    "quotes in a quote": ("f.csv", lambda n: HEAD + b'1,2,"' + b'""' * (n // 2)),
    "empty rows": ("f.csv", lambda n: HEAD + b"\n" * n),
    "a line that does not end": ("f.jsonl", lambda n: b'{"a":"' + b"1" * n),
}


@pytest.mark.few(4)
@pytest.mark.parametrize("name", FORMS)
def test_a_file_is_read_in_a_time_by_its_size(name: str) -> None:
    key, make = FORMS[name]
    least = {}
    for size in (LONGEST // 8, LONGEST // 2):
        took = []
        for _ in range(3):
            begun = time.process_time()
            with contextlib.suppress(ScoringError):
                read(key, make(size))
            took.append(time.process_time() - begun)
        least[size] = min(took)

    assert least[LONGEST // 2] < max(0.1, 6 * least[LONGEST // 8])


def test_an_item_is_parsed_a_few_times_however_many_blocks_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scanned: list[int] = []
    own = readers._is_blank

    def noting(text: str, place: int) -> int:
        scanned.append(len(text) - place)
        return own(text, place)

    monkeypatch.setattr(readers, "_is_blank", noting)
    item = b"[" + b"1," * (LONGEST // 3) + b"1]"

    (found,) = read("f.json", b"[" + item + b"]")

    assert isinstance(found, Lines)
    assert found.lines == [item]
    assert sum(scanned) < 8 * len(item)


@pytest.mark.parametrize(
    "text", ["[[]]", '[[["]"]],1]', '[{"a":[{}]},[]]', "[[],{}]", "[1,[2,[3]]]"]
)
@pytest.mark.parametrize("deep", ["", "[" * 5000 + "]" * 5000, '{"a":' * 3000 + "1" + "}" * 3000])
def test_an_item_too_deep_to_parse_ends_where_its_brackets_do(text: str, deep: str) -> None:
    items = [deep, text, deep] if deep else [text]
    (found,) = read("f.json", f"[{','.join(items)}]".encode())

    assert isinstance(found, Lines)
    assert found.lines == [item.encode() for item in items]


def test_what_follows_an_open_quote_is_read_in_chunks() -> None:
    rows = b"1,2,3\n" * (LONGEST // 4)
    parts = read("f.csv", HEAD + b'1,2,"\n' + rows)

    assert all(isinstance(part, Csv) for part in parts)
    found = [part.records for part in parts if isinstance(part, Csv)]
    assert found[0] == b'1,2,"\n'
    assert b"".join(found[1:]) == rows
    assert max(map(len, found)) < 2 * CHUNK_BYTES


@pytest.mark.parametrize(("rows", "bad"), [(1000, 1000), (8000, 80)])
def test_a_bad_row_costs_what_a_row_costs(rows: int, bad: int) -> None:
    lines = [b"1,2,3\n"] * rows
    for place in range(0, rows, rows // bad):
        lines[place] = b"1,2,z\n"
    begun = time.process_time()
    found = score("f.csv", HEAD + b"".join(lines))

    assert (found.counted, found.bad) == (rows, bad)
    assert time.process_time() - begun < 4


def test_a_stack_trace_is_made_only_to_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    own = traceback.format_exception

    def noting(
        kind: type[BaseException], error: BaseException, place: TracebackType | None
    ) -> list[str]:
        made.append(kind)
        return own(kind, error, place)

    monkeypatch.setattr(traceback, "format_exception", noting)
    body = HEAD + b"1,2,z\n"
    plain, detailed = (
        ours(DOUBLES, Counting(), error_details=details) for details in (False, True)
    )

    assert plain.invocations(body, "text/csv").status == 400
    assert made == []
    assert b"Traceback" in detailed.invocations(body, "text/csv").body
    assert made == [ValueError]


@pytest.mark.few(1)
@pytest.mark.parametrize("coded", [False, True])
def test_one_long_text_for_every_row_of_parquet_is_read_a_few_rows_at_a_time(
    *, coded: bool
) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    count, text = 20_000, "x" * 10_000
    column = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), [text])
    made = io.BytesIO()
    table = pa.table({"x": column if coded else column.dictionary_decode(), "n": range(count)})
    pq.write_table(table, made, compression="zstd")
    assert len(made.getvalue()) < 1_000_000

    parts = read("f.parquet", made.getvalue())

    rows = [part.rows for part in parts if isinstance(part, Batch)]
    assert [n for each in rows for n in each["n"].to_pylist()] == list(range(count))
    assert {str(each["x"][0]) for each in rows} == {text}
    assert max(each.num_rows for each in rows) * len(text) < 16 * CHUNK_BYTES


def test_small_rows_of_parquet_go_to_the_model_many_at_a_time() -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    made = io.BytesIO()
    pq.write_table(pa.table({"x": [0.5] * 20_000}), made)

    sizes = [
        part.rows.num_rows for part in read("f.parquet", made.getvalue()) if isinstance(part, Batch)
    ]

    assert sum(sizes) == 20_000
    assert CHUNK_BYTES // 8 - 64 <= max(sizes) <= CHUNK_BYTES // 8


_CATEGORIES = """
import io
import pyarrow as pa
import pyarrow.parquet as pq
from handlers.files import readers
from tests.unit.handlers.test_file_growth import File
names = pa.array([f"{number:050}" for number in range(15_000)])
column = pa.DictionaryArray.from_arrays(pa.array([n % 15_000 for n in range(20_000)]), names)
made = io.BytesIO()
pq.write_table(pa.table({"x": column}), made, compression="zstd")
parts = readers.read(File("f.parquet", made.getvalue()), 4 << 20)
print(sum(part.rows.num_rows for part in parts), pa.default_memory_pool().max_memory())
"""


@pytest.mark.few(0)
def test_the_categories_of_a_parquet_column_are_held_a_few_times_at_most() -> None:
    pytest.importorskip("pyarrow")
    done = subprocess.run(
        [sys.executable, "-c", _CATEGORIES], capture_output=True, text=True, check=True
    )
    rows, most_bytes = map(int, done.stdout.split())
    assert rows == 20_000
    assert most_bytes < 50_000_000  # 262 MB where each step keeps all of them


def _count_chunks() -> int:
    return sum(type(each) is Csv for each in gc.get_objects())


@pytest.mark.few(0)
def test_a_chunk_with_a_bad_row_is_not_kept_by_the_error_of_it() -> None:
    rows = Rows(ours(DOUBLES, Counting(), frame="numpy"), 1000)
    gc.collect()
    before = _count_chunks()
    gc.disable()
    try:
        for part in read("f.csv", HEAD + b"1,2,3\n" * 50 + b"1,2,oops\n"):
            rows.answers(part)
        del part
        assert _count_chunks() == before
    finally:
        gc.enable()
    assert rows.bad == 1
