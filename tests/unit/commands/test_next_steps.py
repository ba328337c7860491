"""Lines to type next are typed, from other folders, into folders whose names a shell reads."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.commands import next_steps
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import Front
from tests import fake_plan
from tests.unit.pipeline.emit.test_emit_sources import MUTE
from tests.unit.test_readme import parse

NAMES = ("plain", "a b", "it's", "$HOME", "a;b", "-x", "ü 日本", 'a"b', "(c)", "a&b", "~", "#x")
STUB = """#!/bin/bash
printf '%s\\n' "$(basename "$0")" "$PWD" "$@" > "$ASKED"
"""


@pytest.fixture
def typed(tmp_path: Path) -> Callable[[str, Path], list[str]]:
    """`typed(line, folder)`: the program that a shell started there, where, and its arguments."""
    programs, asked = tmp_path / "bin", tmp_path / "asked"
    programs.mkdir()
    for name in ("packager", "sam", "azd", "docker", "aws", "curl", "func", "az", "python3"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)

    def run(line: str, folder: Path) -> list[str]:
        env = {"PATH": f"{programs}:/usr/bin:/bin", "ASKED": str(asked), "URL": "https://x/"}
        done = subprocess.run(
            ["bash", "-uc", line], cwd=folder, env={**os.environ, **env}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return asked.read_text().splitlines()

    return run


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inside", [True, False])
def test_a_line_is_taken_by_a_shell_as_it_is(
    typed: Callable[[str, Path], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    inside: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    here = tmp_path / "work here"
    folder = (here if inside else tmp_path / "elsewhere") / name / "dist"
    folder.mkdir(parents=True)
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(next_steps, "own_command", lambda: "packager")

    program, where, verb, given = typed(next_steps.run_command("serve", folder), here)
    assert (program, where, verb, here / given) == ("packager", str(here), "serve", folder)
    assert not given.startswith("-")
    deployed = typed(next_steps.deploy_command(folder, "sam deploy --guided"), here)
    assert deployed == ["sam", str(folder), "deploy", "--guided"]


AZURE = ("queue", "blob", "eventgrid", "servicebus", "topic", "eventhubs", "timer", "batches")
ASKED: dict[str, dict[str, Any]] = {
    "aws-lambda": {"front": Front.HTTP_API, "events": MUTE, "output_to": "s3://answers/x"}
    | {"once": True, "batch": True},
    "aws-lambda-image": {"front": Front.HTTP_API, "events": MUTE, "output_to": "sqs://answers"},
    "azure-functions": {"events": AZURE, "output_to": "blob://answers"},
    "gpu-container": {},
}


def emitted(base: Path, name: str) -> Path:
    request = fake_plan.request(target=name, **ASKED[name])
    target = fake_plan.TARGET if name == fake_plan.TARGET.name else targets.load(name)
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    plan = fake_plan.plan(request=request, target=target, runtime=runtime)
    out = base / "an artifact"
    out.mkdir()
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    emit(package(verified, plan, out), verified, plan, out)
    return out


def commands(readme: Path) -> list[str]:
    """Indented lines of a page, those that go on taken together."""
    text = readme.read_text(encoding="utf-8").replace(" \\\n", " ")
    return [line.strip() for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE)]


def test_every_target_s_page_is_tried() -> None:
    assert set(ASKED) == set(targets.TARGETS)


@pytest.mark.parametrize("name", ASKED)
def test_every_command_of_an_artifact_s_page_can_be_typed(
    name: str,
    typed: Callable[[str, Path], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(each, "x")
    monkeypatch.setenv("KEY", "x")
    out = emitted(tmp_path, name)
    lines = commands(out / "README.md")

    for event in ASKED[name].get("events", ()):
        assert f"packager invoke . --event {event}" in lines
    assert "packager invoke ." in lines
    for line in lines:
        program, where, *given = typed(line, out)
        assert program in shlex.split(line.strip("("))
        assert Path(where).is_relative_to(out)
        if program == "packager":
            parse(given[0], given[1:])
        if program == "python3":
            assert (out / given[0]).is_file(), line
        files = [each for each in given if each.startswith(("@", "file://"))]
        for each in files:
            assert (out / each.removeprefix("@").removeprefix("file://")).is_file(), line


@pytest.mark.parametrize("name", ASKED)
def test_every_command_that_an_artifact_s_files_name_is_one(name: str, tmp_path: Path) -> None:
    out = emitted(tmp_path, name)
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in out.rglob("*")
        if path.suffix in {".md", ".yaml", ".toml", ".json", ".bicep"}
    )
    found = re.findall(r"`packager ([^`]+)`", text)
    for words in map(shlex.split, found):
        assert words[0] in {"build", "invoke", "batch", "serve", "inspect", "sign", "verify"}, words
        if len(words) > 1:
            parse(words[0], words[1:])
