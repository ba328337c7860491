"""The folder as it is deployed, over the tree that was slimmed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from packager import targets
from packager.pipeline import layout
from packager.types import BuildPlan, change_request
from tests import fake_plan


def azure(**changes: object) -> BuildPlan:
    """A plan for Azure; `changes` are settings by their options' names."""
    plan = fake_plan.plan()
    request = change_request(plan.request, **changes)
    return replace(plan, request=request, target=targets.load("azure-functions"))


def test_where_the_tree_is_all_of_it_nothing_is_made(tmp_path: Path) -> None:
    assert layout.lay_out(tmp_path / "tree", fake_plan.plan(), tmp_path / "made") == (
        tmp_path / "tree"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_tree_lies_in_its_home_beside_what_the_worker_looks_for(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "handlers").mkdir(parents=True)
    (tree / "handlers" / "a.py").write_text("as it was")

    folder = layout.lay_out(tree, azure(), tmp_path / "made")

    home = folder / ".python_packages" / "lib" / "site-packages"
    assert (home / "handlers" / "a.py").read_text() == "as it was"
    assert {path.name for path in folder.iterdir()} == {
        ".funcignore",
        ".python_packages",
        "function_app.py",
        "host.json",
        "local.settings.json.example",
        "requirements.txt",
    }


def test_the_host_is_told_the_timeout_and_no_prefix() -> None:
    host = json.loads(layout.entry_files(azure(timeout_seconds=65))["host.json"])

    assert host["functionTimeout"] == "00:01:05"
    assert host["extensions"]["http"]["routePrefix"] == ""
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"


def test_what_is_installed_is_listed_with_its_version() -> None:
    plan = azure()
    lines = layout.entry_files(plan)["requirements.txt"].splitlines()

    assert lines[1:] == [f"{each.name}=={each.version}" for each in plan.lock.packages]
