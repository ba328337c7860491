"""The parts that every page made of the code has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

MADE: Final = "<!-- made by `python -m tools.reference`: change the code, not this page -->"


def open_page(title: str, about: str) -> str:
    return f"{MADE}\n\n# {title}\n\n{about}"


def join_parts(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = [f"| {' | '.join(row)} |" for row in [columns, ["---"] * len(columns), *cells]]
    return "\n".join(lines)
