"""The page that names the tests of each feature names tests and pages that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "support" / "shown-by-tests.md"
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]


def _list_tests(path: Path) -> list[str]:
    return [
        each.name
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.name.startswith("test_")
    ]


def test_each_file_is_there_and_has_tests() -> None:
    named = [(row[0], name) for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row[2])]

    assert {row[0] for row in ROWS} == {what for what, _ in named}
    assert [name for _, name in named if not (ROOT / name).is_file()] == []
    assert [name for _, name in named if not _list_tests(ROOT / name)] == []


def test_each_guide_of_deploying_and_of_using_is_shown() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    nav = yaml.safe_load(re.split(r"(?m)^(?=\S)", text, maxsplit=1)[0])
    sections = {name: pages for entry in nav for name, pages in entry.items()}
    guides = {
        Path(page).name
        for name in ("Guides, deploying", "Guides, using it")
        for entry in sections[name]
        for page in entry.values()
    }
    linked = {Path(page).name for row in ROWS for page in re.findall(r"\(([^)]+[.]md)\)", row[1])}

    assert guides - linked == set()


def test_each_test_of_deploying_is_named() -> None:
    folders = (
        *("integration/aws", "integration/azure", "integration/containers"),
        *("unit/commands/cloud", "unit/deployments"),
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / "tests" / folder).glob("test_*.py")
    }
    named = {name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row[2])}

    assert sorted(found - named) == []
