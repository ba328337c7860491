"""Typed access to a TOML table; what is wrong is collected and said together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from packager.errors import FactsError


@dataclass(frozen=True, slots=True)
class Table:
    """A wrong value is noted and stood in for; `done` raises if anything was noted."""

    where: str
    values: Mapping[str, Any]
    problems: list[str]

    def wrong(self, key: str, what: str) -> None:
        line = f"{self.where}: {key} {what}"
        if line not in self.problems:
            self.problems.append(line)

    def done(self) -> None:
        if self.problems:
            raise FactsError(
                "Facts do not hold together:\n" + "\n".join(f"  - {line}" for line in self.problems)
            )

    def text(self, key: str, *, optional: bool = False) -> str:
        value = self.values.get(key)
        if isinstance(value, str) and value:
            return value
        if value is not None or not optional:
            self.wrong(key, "must be a text that is not empty")
        return ""

    def source(self) -> str:
        value = self.text("source")
        if value and not value.startswith("https://"):
            self.wrong("source", "must be an https address")
        return value

    def texts(self, key: str, *, optional: bool = False) -> tuple[str, ...]:
        value = self.values.get(key, [] if optional else None)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.wrong(key, "must be a list of texts")
        return ()

    def texts_by_name(self, key: str, *, optional: bool = False) -> dict[str, str]:
        value = self.values.get(key)
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        if value is not None or not optional:
            self.wrong(key, "must be a table of texts")
        return {}

    def whole(self, key: str, *, optional: bool = False) -> int:
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        if value is not None or not optional:
            self.wrong(key, "must be a whole number above 0")
        return 0

    def number(self, key: str, *, optional: bool = False) -> float:
        value = self.values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        if value is not None or not optional:
            self.wrong(key, "must be a number above 0")
        return 0.0

    def pair(self, key: str) -> tuple[int, int]:
        value = self.values.get(key)
        if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value):
            return value[0], value[1]
        self.wrong(key, "must be two whole numbers")
        return 0, 0

    def wholes(self, key: str) -> tuple[int, ...]:
        """() where it is not there."""
        value = self.values.get(key, [])
        if isinstance(value, list) and all(isinstance(v, int) and v > 0 for v in value):
            return tuple(value)
        self.wrong(key, "must be a list of whole numbers above 0")
        return ()

    def flag(self, key: str, *, optional: bool = False) -> bool:
        value = self.values.get(key, False if optional else None)
        if isinstance(value, bool):
            return value
        self.wrong(key, "must be true or false")
        return False

    def day(self, key: str) -> date:
        value = self.values.get(key)
        if type(value) is date:
            return value
        self.wrong(key, "must be a day: 2026-11-22")
        return date.min

    def table(self, key: str) -> Table:
        value = self.values.get(key)
        if not isinstance(value, dict):
            self.wrong(key, "must be a table")
            value = {}
        return Table(f"{self.where} [{key}]", value, self.problems)

    def tables(self, key: str, *, optional: bool = False) -> tuple[Table, ...]:
        value = self.values.get(key, [] if optional else None)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.wrong(key, "must be a list of tables")
            return ()
        return tuple(
            Table(f"{self.where} [[{key}]] {number + 1}", item, self.problems)
            for number, item in enumerate(value)
        )
