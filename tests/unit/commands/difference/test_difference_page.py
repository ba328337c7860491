"""`packager diff --html`: the page shows the comparison's figures, and runs nothing of a name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from packager.commands.difference.page import check_place, render_difference
from packager.errors import StorageError
from tests.unit.commands.artifact.report_pages import HOSTILE, Parsed
from tests.unit.commands.difference import compared
from tests.unit.commands.difference.test_diff import answers, pair, run

__all__ = ["answers", "pair"]


def test_the_page_shows_the_figures_of_the_comparison() -> None:
    found = compared.make()
    page = Parsed(render_difference(found))

    values = set(page.values)
    output = found["answers"]["outputs"][1]
    for figure in (found["answers"]["rows_compared"], output["mean"], output["max"]):
        assert str(figure) in values
    assert page.charts["shares"]["rows"][0] == {"name": "predictions, 'label'", "value": 25.0}
    assert page.charts["apart-0"]["rows"] == [
        {"name": "the same", "value": 3},
        {"name": "1e-3 to 1e-2", "value": 4},
        {"name": "1e-2 to 1e-1", "value": 0},
        {"name": "1e-1 to 1e0", "value": 1},
    ]
    assert [each["name"] for each in page.charts["explains"]["rows"]] == ["age"]
    steps = page.charts["growth"]["steps"]
    assert [steps[0]["before"], steps[-1]["after"]] == [2000, 2600]
    assert [each["name"] for each in steps] == ["scipy", "numpy", "all others"]
    assert "over a limit" in page.texts["span"][0]
    assert any("no → yes" in each or each == "yes" for each in page.texts["bdi"])


def test_what_was_not_asked_is_left_out() -> None:
    found = compared.make() | {"answers": None, "start": None, "limits": [], "passed": True}
    page = Parsed(render_difference(found))

    assert "answers" not in [given.get("id") for tag, given in page.elements if tag == "section"]
    assert page.texts["span"][0] == "no limit was set"


def test_names_of_others_are_text() -> None:
    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoil(each) for key, each in value.items()}
        if isinstance(value, list):
            return [spoil(each) for each in value]
        return f"{value}{HOSTILE}" if isinstance(value, str) else value

    found = spoil(compared.make())
    found["answers"]["measure"] = "changed labels"
    page = Parsed(render_difference(found))

    assert not [tag for tag, _ in page.elements if tag in {"img", "iframe", "object"}]
    assert len(page.texts["script"]) == 3
    assert "\u202e" not in page.page
    assert "7*7" in page.page
    assert "49}}" not in page.page


def test_the_command_writes_it_and_ends_as_it_does_without(
    pair: tuple[Path, Path], answers: Any, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "diff.html"
    done = run(*pair, "--json", "-q", "--html", out, "--fail-on", "labels=0.5%")

    assert done.exit_code == 13
    assert json.loads(done.stdout)["passed"] is False
    page = Parsed(out.read_text(encoding="utf-8"))
    assert page.texts["span"][0] == "over a limit"
    assert "[red]z" in page.page


def test_a_comparison_without_a_start_has_a_page(pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(*pair, "--files-only", "-q", "--html", tmp_path / "diff.html")

    assert done.exit_code == 0, done.output
    assert "What they hold" in (tmp_path / "diff.html").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_told_before_anything_is_compared(
    pair: tuple[Path, Path], answers: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = run(*pair, "-q", "--html", tmp_path / "file" / "diff.html")

    assert isinstance(done.exception, StorageError)
    assert "Name another file with --html" in str(done.exception)
    assert not answers


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError):
        check_place(tmp_path / "diff.html")
