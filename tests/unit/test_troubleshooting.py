"""Troubleshooting quotes messages that the code has, and has a heading for every exit code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "support" / "troubleshooting.md").read_text(encoding="utf-8")
OPTION: Final = re.compile(r"--[a-z-]+( [a-z-]+)?")


def read_messages() -> str:
    """Every text of the tool, with what is filled in left out."""
    found = []
    for path in (ROOT / "packager").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (each.value for each in node.values if isinstance(each, ast.Constant))
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def list_quoted() -> list[str]:
    """The quotations in the first column of tables headed `the message says`."""
    tables = re.findall(r"(?m)^\| the message says .*\n\|.*\n((?:\|.*\n)+)", PAGE)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return [quoted for cell in cells for quoted in re.findall(r"`([^`]+)`", cell)]


def test_every_quoted_message_is_one_of_the_tools() -> None:
    messages = read_messages()
    quoted = list_quoted()
    assert len(quoted) > 15
    parts = [
        part.strip()
        for text in quoted
        if not OPTION.fullmatch(text)
        for part in text.split("...")
        if part.strip()
    ]
    assert [part for part in parts if part not in messages] == []


def test_every_exit_code_has_a_heading() -> None:
    table = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    codes = [
        code.strip()
        for cell in re.findall(r"(?m)^\| ([\d, ]+) \|", table)
        for code in cell.split(",")
    ]
    headings = re.findall(r"(?m)^### (.+)$", PAGE)
    told = [code.strip() for heading in headings for code in heading.split(",")]
    assert told == codes[1:]  # 0 is no trouble
