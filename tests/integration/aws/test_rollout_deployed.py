"""A rollout as `sam deploy` makes it: checked under the emulator, then moved, or left alone.

moto and a stand-in for CodeDeploy are the cloud; the functions, the check among them, run under
Lambda's own emulator and runtime client.
"""

from __future__ import annotations

import json
import shutil
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from packager.system import process
from tests.integration.aws.conftest import Sam
from tests.integration.aws.test_deploy import Cloud

pytestmark = pytest.mark.slow
_STACK = "rolled"


@pytest.fixture
def cloud(endpoint: str, credentials: dict[str, str]) -> Cloud:
    return Cloud(endpoint, credentials)


def _copy(artifact: Path, folder: Path, *, wrong: bool = False) -> Path:
    """Another version: other bytes, and where it is `wrong` another answer than was recorded."""
    shutil.copytree(artifact, folder)
    with zipfile.ZipFile(folder / "function.zip", "a") as archive:
        archive.writestr("version.txt", folder.name)
    if wrong:
        replay = folder / "rollout" / "replay.jsonl"
        rule, first, *rest = replay.read_text().splitlines()
        sample = json.loads(first)
        sample["answer"]["predictions"][0] += 1e-9
        replay.write_text("\n".join([rule, json.dumps(sample), *rest]) + "\n")
    return folder


class _Callers:
    """What callers of the alias were answered."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.lost: list[str] = []


@contextmanager
def _calling(cloud: Cloud, function: str, body: Any) -> Iterator[_Callers]:
    """Ask the alias again and again, by two callers, for as long as the block runs."""
    callers, over = _Callers(), threading.Event()

    def call() -> None:
        while not over.is_set():
            try:
                told, value = cloud.ask(function, body)
                if "FunctionError" in told:
                    callers.lost.append(str(value))
                else:
                    callers.answers[json.dumps(value)] += 1
            except Exception as error:  # noqa: BLE001 - each is a request that was lost
                callers.lost.append(repr(error))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield callers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _read_alias(cloud: Cloud, function: str) -> tuple[str, Any]:
    found = cloud.functions.get_alias(FunctionName=function, Name="live")
    return found["FunctionVersion"], found.get("RoutingConfig")


def test_a_wrong_version_gets_no_request_and_a_right_one_all(
    artifact_of_rollout: Path,
    tmp_path: Path,
    sam_in: Sam,
    cloud: Cloud,
    deployments_log: Path,
) -> None:
    def deploy(folder: Path, *, check: bool = True) -> process.Done:
        return sam_in(folder, "deploy", "--stack-name", _STACK, "--no-progressbar", check=check)

    first = _copy(artifact_of_rollout, tmp_path / "first")
    body = json.loads((first / "events" / "direct.json").read_text())
    deploy(first)
    function = cloud.outputs_of(_STACK)["FunctionName"]
    before = _read_alias(cloud, function)

    with _calling(cloud, function, body) as callers:
        refused = deploy(_copy(artifact_of_rollout, tmp_path / "second", wrong=True), check=False)

    assert refused.returncode != 0
    assert _read_alias(cloud, function)[0] == before[0]
    assert (callers.lost, len(callers.answers)) == ([], 1)

    with _calling(cloud, function, body) as callers:
        deploy(_copy(artifact_of_rollout, tmp_path / "third"))

    assert callers.lost == []
    assert len(callers.answers) == 1
    assert int(_read_alias(cloud, function)[0]) > int(before[0])
    stopped, moved = map(json.loads, deployments_log.read_text().splitlines())
    assert stopped["states"] == ["Created", "BeforeAllowTraffic", "Stopped"]
    assert (stopped["check"]["passed"], stopped["check"]["differing"]) == (False, 1)
    assert moved["states"] == ["Created", "BeforeAllowTraffic", "AllowTraffic", "Succeeded"]
    assert moved["check"]["passed"]
    assert moved["check"]["requests"] == moved["check"]["asked"] > 10
