"""Parts of a file that go to the model at once, and that can be halved to find a bad row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from handlers import bodies
from handlers.errors import InvalidInputError
from handlers.scoring import Checked, Scorer


class Chunk(Protocol):
    def read(self, scorer: Scorer) -> Checked:
        """As the model will be handed it. Raises ScoringError."""
        ...

    def halves(self) -> Sequence[Chunk]:
        """Two parts, in order; none of what is a single row."""
        ...


@dataclass(frozen=True, slots=True)
class Csv:
    """Whole records below their header."""

    header: bytes
    """With its line's end."""
    records: bytes

    def read(self, scorer: Scorer) -> Checked:
        return scorer.read(self.header + self.records, bodies.CSV)

    def halves(self) -> Sequence[Chunk]:
        lines = split(self.records)
        middle = len(lines) // 2
        if middle == 0:
            return ()
        parts = lines[:middle], lines[middle:]
        return [Csv(self.header, b"".join(part)) for part in parts]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of JSON, each a row or a request of MLflow's."""

    lines: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Items(Lines):
    """Texts of the items of one JSON list: rows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a Parquet file, as a pyarrow.RecordBatch."""

    rows: Any

    def read(self, scorer: Scorer) -> Checked:
        import io

        import pyarrow as pa
        import pyarrow.parquet as pq

        made = io.BytesIO()
        pq.write_table(pa.Table.from_batches([self.rows]), made, compression="none")
        return scorer.read(made.getvalue(), bodies.PARQUET)

    def halves(self) -> Sequence[Chunk]:
        middle = self.rows.num_rows // 2
        if middle == 0:
            return ()
        return [Batch(self.rows.slice(0, middle)), Batch(self.rows.slice(middle))]


@dataclass(frozen=True, slots=True)
class Document:
    """One request of MLflow's: all of a file."""

    body: bytes

    def read(self, scorer: Scorer) -> Checked:
        return scorer.read(self.body, bodies.JSON)

    def halves(self) -> Sequence[Chunk]:
        return ()


def split(records: bytes) -> list[bytes]:
    """CSV records with their ends; what is in quotes ends none. Empty lines are left out."""
    found, open_ = [], b""
    for line in records.split(b"\n"):
        open_ += line + b"\n"
        if open_.count(b'"') % 2 == 0:
            found.append(open_)
            open_ = b""
    if open_:
        found.append(open_)
    return [record for record in found if record.strip(b"\r\n")]


def length(data: Any) -> int:
    """Rows of what the model is handed. Raises InvalidInputError where it has none."""
    if isinstance(data, dict):
        sizes = {len(array) for array in data.values() if isinstance(array, np.ndarray)}
        if len(sizes) != 1:
            raise InvalidInputError("A file must hold rows.")
        return sizes.pop()
    try:
        return len(data)
    except TypeError as error:
        raise InvalidInputError("A file must hold rows.") from error
