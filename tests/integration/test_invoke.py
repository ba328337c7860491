"""`packager invoke` and the lines that a build prints: a real artifact, a path with a space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.events import aws_sources
from packager import targets
from packager.commands import artifact as artifacts
from packager.commands import next_steps
from packager.commands.invoke import invoke_artifact
from packager.commands.local_boot import prepare_boot, read_sent
from packager.targets.hosts import HOSTS, Call

pytestmark = pytest.mark.slow


@pytest.fixture
def artifact(artifact_of_events: Path) -> Path:
    return artifact_of_events


def test_each_sample_event_is_answered(artifact: Path) -> None:
    built = artifacts.read(artifact)
    target = targets.load(built.target)
    minor = artifacts.read_manifest(built.folder).python
    files = sorted((artifact / "events").glob("*.json"))
    assert {path.stem for path in files} >= {*aws_sources.SOURCES, "direct", "http-api", "alb"}

    with prepare_boot(built, target, minor) as boot, HOSTS[target.program.host](boot) as function:
        for path in files:
            sent = len(read_sent(function.log()))

            answer = function.ask(Call(body=path.read_bytes(), door="direct"))

            assert answer.status == 200, (path.name, answer.text)
            told = read_sent(function.log())[sent:]
            assert not [each for each in told if "attributes" in each], (path.name, told)
            mute = path.stem in aws_sources.SOURCES and path.stem != "stepfunctions"
            assert bool(told) == mute, (path.name, told)


def test_a_source_and_variables_are_given_by_name(artifact: Path) -> None:
    found = invoke_artifact(
        artifact, data=None, http=False, content_type="", repeat=1, memory_mb=None, event="kafka",
        variables=["PACKAGER_OUTPUT=s3://elsewhere/x"],
    )  # fmt: skip

    assert (found["failed"], found["response"]) == (False, "null")
    (sent,) = found["sent"]
    assert sent["to"].startswith("s3://elsewhere/x/kafka/")
    assert json.loads(sent["body"])["predictions"]


@pytest.mark.parametrize("name", ["inspect", "invoke"])
def test_a_printed_line_can_be_typed(
    artifact: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = artifact.parent
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(here)

    line = next_steps.run_command(name, artifact)

    assert not Path(line.split(maxsplit=2)[2].strip("'")).is_absolute()
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
