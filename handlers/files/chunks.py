"""Parts of a file that go to the model at once, and that can be halved to find a bad row."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from handlers.scoring import request_parsing
from handlers.scoring.errors import InvalidInputError
from handlers.scoring.schema import np
from handlers.scoring.scorer import Checked, Scorer
from handlers.values import relax_pattern

csv.field_size_limit(sys.maxsize)


class Chunk(Protocol):
    def read(self, scorer: Scorer) -> Checked:
        """As the model will be handed it. Raises ScoringError."""
        ...

    def halves(self) -> Sequence[Chunk]:
        """Two parts, in order; none of what is a single row."""
        ...


@dataclass(frozen=True)
class Csv:
    """Whole records below their header."""

    header: bytes
    """With its line's end."""
    records: bytes
    width: int | None = None
    """Cells of the file's first row: a row that begins a chunk with more would pass as labelled."""

    def read(self, scorer: Scorer) -> Checked:
        if self.width is not None and (cells := count_cells(self.records)) > self.width:
            raise InvalidInputError(f"The row has {cells} cells, and the first has {self.width}.")
        return scorer.read(self.header + self.records, request_parsing.CSV)

    def halves(self) -> Sequence[Chunk]:
        lines = split(self.records)
        middle = len(lines) // 2
        if middle == 0:
            return ()
        parts = lines[:middle], lines[middle:]
        return [replace(self, records=b"".join(part)) for part in parts]


@dataclass(frozen=True)
class Lines:
    """Lines of JSON, each a row or a request of MLflow's."""

    lines: Sequence[bytes]


@dataclass(frozen=True)
class Items(Lines):
    """Texts of the items of one JSON list: rows."""


@dataclass(frozen=True)
class Batch:
    """Rows of a Parquet file, as a pyarrow.RecordBatch."""

    rows: Any

    def read(self, scorer: Scorer) -> Checked:
        import pyarrow as pa
        import pyarrow.parquet as pq

        made = io.BytesIO()
        pq.write_table(pa.Table.from_batches([self.rows]), made, compression="none")
        return scorer.read(made.getvalue(), request_parsing.PARQUET)

    def halves(self) -> Sequence[Chunk]:
        middle = self.rows.num_rows // 2
        if middle == 0:
            return ()
        return [Batch(self.rows.slice(0, middle)), Batch(self.rows.slice(middle))]


@dataclass(frozen=True)
class Document:
    """One request of MLflow's: all of a file."""

    body: bytes

    def read(self, scorer: Scorer) -> Checked:
        return scorer.read(self.body, request_parsing.JSON)

    def halves(self) -> Sequence[Chunk]:
        return ()


_QUOTED = re.compile(relax_pattern(r'(?:\A|(?<=[,\r\n]))"[^"]*+(?:""[^"]*+)*+("?)').encode())
"""A cell in quotes, which begins where a cell does: a quote within another is as it is."""


def ends(records: bytes) -> tuple[list[int], int | None]:
    """Behind each record's newline, and where a cell's quote opens that is never closed, or None.

    Text starts outside of quotes. What is in quotes ends no record.
    """
    found: list[int] = []
    at, open_ = 0, None
    for quoted in _QUOTED.finditer(records):
        found += _find_newlines(records, at, quoted.start())
        at = quoted.end()
        if not quoted[1]:
            open_ = quoted.start()
    return found + _find_newlines(records, at, len(records)), open_


def _find_newlines(text: bytes, start: int, stop: int) -> list[int]:
    found = []
    at = text.find(b"\n", start, stop) + 1
    while at:
        found.append(at)
        at = text.find(b"\n", at, stop) + 1
    return found


def split(records: bytes) -> list[bytes]:
    """CSV records with their ends; what is in quotes ends none. Empty lines are left out.

    Where a quote is never closed, its line is a record, and no more of what follows.
    """
    stops, open_ = ends(records)
    if open_ is not None:
        line = records.find(b"\n", open_) + 1 or len(records)
        behind = [line + stop for stop in ends(records[line:])[0]]
        stops = [*stops, line, *behind]
    bounds = [0, *stops, len(records)]
    found = [records[start:stop] for start, stop in zip(bounds, bounds[1:])]
    return [record for record in found if record.strip(b"\r\n")]


def count_cells(records: bytes) -> int:
    """Count the cells of the first record that is not empty."""
    # a NUL is refused before Python 3.11, and an open quote makes one cell of all that follows
    text = records.decode("utf-8", "replace").replace("\0", "?")
    return next((len(row) for row in csv.reader(io.StringIO(text, newline="")) if row), 0)


def quote_record(cells: Iterable[object]) -> str:
    """All cells in quotes, for what csv.writer refuses: before Python 3.11 a NUL."""
    texts = ("" if cell is None else str(cell).replace('"', '""') for cell in cells)
    return ",".join(f'"{text}"' for text in texts)


def length(data: Any) -> int:
    """Rows of what the model is handed. Raises InvalidInputError where it has none."""
    if isinstance(data, dict):
        sizes = {len(array) for array in data.values() if isinstance(array, np.ndarray)}
        if len(sizes) != 1:
            raise InvalidInputError(
                "The file holds no rows that a model takes. Send a table or a list."
            )
        return sizes.pop()
    try:
        return len(data)
    except TypeError as error:
        raise InvalidInputError(
            "The file holds no rows that a model takes. Send a table or a list."
        ) from error
