"""Recipes for CI call commands that packager has, one run at a time, and show no secret."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
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


@pytest.mark.parametrize("name", ["azure-pipelines.yml", "github-actions.yml"])
@pytest.mark.parametrize(("plan", "ends"), [('{"locks_sha256": "abc"}', 0), ("{}", 1)])
def test_a_plan_without_a_digest_fails_its_step(
    name: str, plan: str, ends: int, tmp_path: Path
) -> None:
    found = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    (script,) = [text for text in list_texts(found) if "locks_sha256" in text and "\n" in text]
    (tmp_path / "bin").mkdir()
    # jq reads one name here, and ends with an error for null as -e asks
    programs = {
        "packager": f"echo '{plan}'",
        "jq": (
            """sed -n 's/.*"locks_sha256": "\\(.*\\)".*/\\1/p' plan.json | grep . ||"""
            " { echo null; exit 1; }"
        ),
    }
    for each, body in programs.items():
        path = tmp_path / "bin" / each
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    output = tmp_path / "output"

    # GitHub's shell has -e; on Azure the script sets it
    done = subprocess.run(
        ["bash", "-e", "-c", script] if name.startswith("github") else ["bash", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(output),
            "MODEL": "models:/churn@champion",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    written = done.stdout + (output.read_text() if output.exists() else "")
    assert done.returncode == ends, done.stderr
    assert ("abc" in written) == (ends == 0)
    assert "null" not in written


def test_what_may_use_the_deploy_role_is_named_exactly() -> None:
    for name in RECIPES:
        found = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
        for text in list_texts(found):
            assert not re.match(r"[\w-]+/[\w-]+@(?![0-9a-f]{40}$)", text), text
            for line in text.splitlines():
                assert not re.search(r"aws-sam-cli(?!==\d)", line), line
                if re.search(r"curl .*\|", line):
                    assert re.search(r"--version \d", line)
                    assert "pipefail" in text


def test_a_job_with_other_packages_begins_with_a_cache_that_some_job_stores() -> None:
    gitlab = yaml.safe_load((FOLDER / "gitlab-ci.yml").read_text(encoding="utf-8"))
    caches = gitlab["follow"]["cache"]

    # GitLab's keys are no prefixes
    stored = {each["key"] for each in caches if each.get("policy", "pull-push") != "pull"}
    assert {key for each in caches for key in each.get("fallback_keys", [])} <= stored
    assert len({str(each["paths"]) for each in caches}) == 1


def test_the_lock_that_azure_needs_is_asked_for() -> None:
    for name in ("azure-pipelines.yml", "README.md"):
        assert "Exclusive Lock" in (FOLDER / name).read_text(encoding="utf-8")
