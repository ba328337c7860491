"""Parts of a section of the page: tables of figures, and charts drawn of the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from packager.commands.artifact.report_page.figures import format_bytes, format_ms
from packager.types import Json

HERE: Final = "Times are of the machine that built it, not of the cloud."

Value: TypeAlias = "float | str | None"


@dataclass(frozen=True, slots=True)
class Documents:
    """Contents of an artifact's own files; `drift` is None where there is no baseline."""

    evidence: Json
    report: Json
    drift: Json = None
    example: bytes | None = None
    """The request that was saved with the model; None where there is none."""
    facts_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    value: Value = None
    """The figure as evidence.json or report.json has it; None for words."""


Row: TypeAlias = "Sequence[Cell | str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_open: bool = False
    """Shown without being asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    key: str
    title: str
    label: str
    """The chart in a sentence, for those who do not see it."""
    data: Mapping[str, Json]
    is_half: bool = False
    """Stands beside another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    key: str
    title: str
    lead: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


def make_table(
    title: str, columns: Sequence[str], rows: Sequence[Row], *, is_open: bool = False
) -> Table:
    return Table(
        title=title,
        columns=tuple(columns),
        rows=tuple(
            tuple(each if isinstance(each, Cell) else Cell(each) for each in row) for row in rows
        ),
        is_open=is_open,
    )


def make_bytes_cell(size_bytes: float) -> Cell:
    return Cell(format_bytes(size_bytes), size_bytes)


def make_ms_cell(milliseconds: float) -> Cell:
    return Cell(format_ms(milliseconds), milliseconds)
