"""Prices of running: facts of prices.toml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from packager.facts import read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Price:
    source: str
    unchecked: str
    """Where the figure was read in place of its source; empty where it was read there."""
    as_of: date

    @property
    def told(self) -> str:
        """Tell where it is from, how old it is, and whether anybody has checked it."""
        read = f", unchecked: read at {self.unchecked}" if self.unchecked else ""
        return f"{self.source}, {self.as_of}{read}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(_Price):
    """Paid by use, in dollars."""

    gb_second: float
    million_requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(_Price):
    """Paid by the hour, in dollars."""

    name: str
    hour: float
    vcpu: int


def function(target: str, folder: Path | None = None) -> Function | None:
    root = read("prices", folder)
    found = {
        table.text("target"): Function(
            gb_second=table.number("gb_second"),
            million_requests=table.number("million_requests"),
            source=table.source(),
            unchecked=table.text("unchecked", optional=True),
            as_of=table.day("as_of"),
        )
        for table in root.tables("functions")
    }
    root.done()
    return found.get(target)


def machine(target: str, folder: Path | None = None) -> Machine | None:
    root = read("prices", folder)
    found = {
        table.text("target"): Machine(
            name=table.text("name"),
            hour=table.number("hour"),
            vcpu=table.whole("vcpu"),
            source=table.source(),
            unchecked=table.text("unchecked", optional=True),
            as_of=table.day("as_of"),
        )
        for table in root.tables("machines")
    }
    root.done()
    return found.get(target)
