"""Troubleshooting quotes messages that the code has, and has a heading for every exit code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Final

import pytest

from packager import errors
from packager.errors import PackagerError
from packager.types import Check, Finding
from tools.reference.messages import FILLED, list_errors, list_messages, make_messages

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
    assert len(quoted) > 60
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


def test_every_kind_of_error_has_an_entry_with_its_exit_code_and_its_meaning() -> None:
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (\d+ \| .{10,}) \|$", make_messages()))
    headings = {code for each in re.findall(r"(?m)^### (.+)$", PAGE) for code in each.split(", ")}

    assert len(rows) == len(list_errors()) > 25
    for name, each in list_errors().items():
        code, _, meaning = rows[name.removesuffix("Error")].partition(" | ")
        assert int(code) == each.exit_code, name
        assert code in headings, name
        assert meaning != inspect.cleandoc(PackagerError.__doc__ or ""), name


def test_every_exit_code_of_an_error_quotes_a_message_of_its_own() -> None:
    parts = re.split(r"(?m)^### (.+)$", PAGE.partition("\n## By what you see")[0])
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    for code in {each.exit_code for each in list_errors().values()}:
        texts = [each.text for each in list_messages() if each.exit_code == code]
        quoted = re.findall(r"(?m)^\| `([^`]+)` \|", sections[str(code)])
        assert any(each in text for each in quoted for text in texts), code


def test_every_kind_of_error_has_its_words_on_the_page_of_messages() -> None:
    named = {each.error for each in list_messages()}
    none = {name: each for name, each in list_errors().items() if name not in named}
    # these have the words of the kind above
    assert {*none} == {"AuditUnavailableError", "UpgradeUnprovenError"}
    assert {each.__base__.__name__ for each in none.values() if each.__base__} <= named


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownTargetError("lambda", ["aws-lambda"]),
        errors.InterpreterNotFoundError("3.12", ["PATH"]),
        errors.UnresolvableError("no wheel of churn"),
        errors.DigestError(["churn"]),
        errors.UntrustedTypesError("churn.Model"),
        errors.VerificationError([Finding(check=Check.BUDGET, message="Large.", hint="Less.")]),
        errors.UnprovenError("There is nothing to compare with: it hangs"),
        errors.IntegrityError.of_problems("dist", ["a file"]),
        errors.AttestationError.of_problems("dist", ["a file"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_command_prints_is_on_the_page_of_messages(error: PackagerError) -> None:
    printed = " ".join(str(error).split())
    patterns = [
        "[^^]*".join(map(re.escape, each.text.split(FILLED)))
        for each in list_messages()
        if each.error == type(error).__name__
    ]
    assert any(re.fullmatch(pattern, printed) for pattern in patterns), printed


def test_the_page_of_messages_has_what_troubleshooting_quotes() -> None:
    """Most of it: a few messages are put together from parts, which no page can list."""
    texts = "\n".join(each.text for each in list_messages())
    quoted = [each for each in list_quoted() if not OPTION.fullmatch(each)]
    there = [each for each in quoted if all(part.strip() in texts for part in each.split("..."))]
    assert len(there) >= 0.8 * len(quoted)
    assert len(quoted) > 60
