"""A rollout's check against a built function, booted as Lambda boots it.

CodeDeploy and Lambda's API are stood in for: nothing of them can be had here. The check, its
recorded requests and the function that answers them are the artifact's own.
"""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from packager import targets
from packager.commands import artifact as artifacts
from packager.commands.artifact.integrity import verify_artifact
from packager.commands.local_boot import prepare_boot
from packager.targets.hosts import HOSTS, Call, Host

pytestmark = pytest.mark.slow

_EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}


class _Cloud:
    """Lambda's API, in front of one booted function, and CodeDeploy's."""

    def __init__(self, function: Host) -> None:
        self._function = function
        self.status: list[str] = []

    def invoke(self, **given: Any) -> Mapping[str, Any]:
        answer = self._function.ask(Call(body=given["Payload"], door="direct"))
        failed = {} if answer.status == 200 else {"FunctionError": "Unhandled"}
        return {"Payload": io.BytesIO(answer.text.encode())} | failed

    def put_lifecycle_event_hook_execution_status(self, **given: Any) -> None:
        self.status.append(given["status"])


@pytest.fixture(scope="module")
def function(artifact_of_rollout: Path) -> Iterator[Host]:
    built = artifacts.read(artifact_of_rollout)
    target = targets.load(built.target)
    minor = artifacts.read_manifest(built.folder).python
    with prepare_boot(built, target, minor) as boot, HOSTS[target.program.host](boot) as running:
        yield running


def _check(
    folder: Path, function: Host, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], list[str]]:
    """(result, statuses that CodeDeploy was told) of the check in `folder`."""
    cloud = _Cloud(function)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("answer_comparison", "recorded_requests"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: cloud)
    monkeypatch.setenv("NEW_VERSION", "arn:aws:lambda:us-east-1:123456789012:function:churn:7")
    monkeypatch.setenv("FUNCTION_TIMEOUT_SECONDS", "30")
    monkeypatch.setenv("SIGNED_BY", "")
    monkeypatch.setenv("EQUIVALENCE", "")
    # nothing is written beside what is deployed
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("replay_check", folder / "replay_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    return module.check_version(_EVENT, context), cloud.status


def test_the_built_function_passes_its_own_check(
    artifact_of_rollout: Path, function: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = artifact_of_rollout / "rollout" / "replay.jsonl"

    found, status = _check(artifact_of_rollout / "rollout", function, monkeypatch)

    assert (found["passed"], found["differing"], status) == (True, 0, ["Succeeded"]), found
    assert found["requests"] == len(replay.read_text().splitlines()) - 1 > 10
    assert found["rows"] > found["requests"]
    assert replay.stat().st_size < 1_000_000
    assert verify_artifact(artifact_of_rollout)["verified"]


def test_a_function_that_answers_otherwise_gets_no_traffic(
    artifact_of_rollout: Path, function: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(artifact_of_rollout / "rollout", tmp_path / "rollout")
    rule, first, *rest = (folder / "replay.jsonl").read_text().splitlines()
    sample = json.loads(first)
    sample["answer"]["predictions"][0] += 1e-9
    lines = [rule, json.dumps(sample), *rest]
    (folder / "replay.jsonl").write_text("\n".join(lines) + "\n")

    found, status = _check(folder, function, monkeypatch)

    assert (found["passed"], found["differing"], status) == (False, 1, ["Failed"]), found
    assert found["differences"][0]["where"] == "predictions, row 0"
