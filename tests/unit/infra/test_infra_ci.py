"""Recipes for CI call commands that packager has, one run at a time, and show no secret."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any, Final

import pytest
import typer
import yaml

from packager import cli
from packager.system import resources
from packager.types import PlanSummary

FOLDER: Final = resources.INFRA / "ci"
RECIPES: Final = ("azure-pipelines.yml", "github-actions.yml", "gitlab-ci.yml")


def list_texts(value: Any) -> Iterator[str]:
    """List every text in a document."""
    if isinstance(value, str):
        yield value
    for each in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from list_texts(each)


def list_commands(name: str) -> list[list[str]]:
    """List the words of each line that calls packager, before what redirects it."""
    found = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    lines = [line for text in list_texts(found) for line in text.splitlines()]
    return [
        shlex.split(re.split(r" [>|]", line)[0].replace("$MODEL", read_model(name)))
        for line in map(str.strip, lines)
        if re.match("packager [a-z]", line)
    ]


def read_model(name: str) -> str:
    found = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return str((found.get("variables") or found["env"])["MODEL"])


def parse(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the command and its parameters. Fails for what it does not take."""
    command: Any = typer.main.get_command(cli.app)
    name, rest, path = "packager", words[1:], ""
    while hasattr(command, "commands"):
        path = f"{path} {rest[0]}".strip()
        command, rest = command.commands[rest[0]], rest[1:]
    context = command.make_context(name, rest, resilient_parsing=False)
    return path, context.params


def test_every_recipe_is_asked() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.yml")) == [*RECIPES]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_its_commands_are_packager_s(name: str) -> None:
    parsed = dict(parse(words) for words in list_commands(name))

    assert list(parsed) == ["build", "follow", "cache prune"]
    assert parsed["build"]["dry_run"]
    assert parsed["build"]["as_json"]
    follow = parsed["follow"]
    assert (follow["deploy"], follow["run_once"]) == (True, True)
    # a runner keeps no state: the tag does
    assert follow["tag"] == "production"
    assert parsed["build"]["target"] == follow["target"]
    assert parsed["build"]["model_uri"] == follow["model_uri"] == "models:/churn@champion"


def test_the_digest_that_names_the_cache_is_in_every_recipe() -> None:
    assert "locks_sha256" in PlanSummary.__annotations__
    for name in RECIPES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "locks_sha256" in text


def test_no_secret_is_in_a_command() -> None:
    for name in RECIPES:
        commands = [" ".join(words) for words in list_commands(name)]
        assert not any("TOKEN" in line or "SECRET" in line for line in commands)


def test_runs_of_a_recipe_wait_for_each_other() -> None:
    github = yaml.safe_load((FOLDER / "github-actions.yml").read_text(encoding="utf-8"))
    gitlab = yaml.safe_load((FOLDER / "gitlab-ci.yml").read_text(encoding="utf-8"))
    azure = yaml.safe_load((FOLDER / "azure-pipelines.yml").read_text(encoding="utf-8"))

    assert github["concurrency"]["cancel-in-progress"] is False
    assert github["permissions"] == {"contents": "read", "id-token": "write"}
    assert gitlab["follow"]["resource_group"]
    assert gitlab["follow"]["interruptible"] is False
    assert azure["lockBehavior"] == "sequential"
