"""The tree in docs/design.md is the tree that there is, and so is every file that a page names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("packager", "handlers")
OF_OTHERS = {"setup.py", "churn/xgboost.py"}
"""Files that the page names and that are a package's or a user's."""


def folders_of_design() -> set[str]:
    """Folders of packager/ and handlers/ that the tree in docs/design.md names, one level deep."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"^## Layout\n\n((?:    .*\n)+)", text, re.MULTILINE)
    found: set[str] = set()
    top = ""
    for line in tree.splitlines():
        if match := re.match(r" {4}(\w+)/(?= )", line):
            top = match[1]
        elif top in TOPS and re.match(r" {6}\S", line):
            names = re.split(r"  +", line.strip())[0]
            found.update(f"{top}/{name}" for name in re.findall(r"(\w+)/", names))
    return found


def folders_of_tree() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for top in TOPS
        for path in (ROOT / top).iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }


def test_the_design_names_every_folder() -> None:
    assert folders_of_design() == folders_of_tree()


def paths_of_tree() -> list[str]:
    """Every file of the project, and every folder with a slash at its end."""
    return [
        f"/{path.relative_to(ROOT).as_posix()}{'/' if path.is_dir() else ''}"
        for top in ROOT.iterdir()
        if not top.name.startswith(".")
        for path in (top, *top.rglob("*"))
        if "__pycache__" not in path.parts
    ]


def test_every_file_that_the_design_names_is_there() -> None:
    tree = paths_of_tree()
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|toml|md)|[a-z_]+/(?:[\w-]+/)*)`", page))
    assert len(named) > 30
    missing = {name for name in named if not any(path.endswith(f"/{name}") for path in tree)}
    assert missing <= OF_OTHERS


def list_pages() -> list[str]:
    """Every page of docs/ and those beside it, relative to the project's folder."""
    beside = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [path.relative_to(ROOT).as_posix() for path in (*pages, *beside)]


@pytest.mark.parametrize("page", list_pages())
def test_a_file_of_the_tree_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "packager|handlers|tests|bench|tools|templates"
    named = set(re.findall(rf"\b(?:{tops})/(?:[\w.-]+/)*[\w-]+\.(?:py|toml|md|yaml)\b", text))
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]


def list_folders(top: str) -> set[str]:
    """Every folder under `top` that has modules, relative to it."""
    root = ROOT / top
    return {path.parent.relative_to(root).as_posix() for path in root.rglob("*.py")}


def test_the_tests_have_the_folders_of_the_tree() -> None:
    of_tool, of_function = list_folders("packager"), list_folders("handlers")
    assert list_folders("tests/unit") <= of_tool | {".", "handlers", "infra"}
    assert list_folders("tests/handlers") <= of_function
