"""`packager diff` on real artifacts: both are started and asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_two_builds_of_one_model_answer_the_same(
    artifact_of_events: Path, artifact_of_rollout: Path
) -> None:
    words = ("--rows", "50", "--json", "-q", "--fail-on", "max=0", "--fail-on", "refused=0")
    done = subprocess.run(
        [sys.executable, "-m", "packager", "diff", artifact_of_events, artifact_of_rollout, *words],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["same_model"]
    assert {each["name"] for each in found["facts"]} >= {"events", "output"}
    assert (found["signature"], found["files"]) == ([], [])
    answers = found["answers"]
    assert answers["rows"]["generated"] == 50
    assert answers["rows"]["b"] > 0, "the recorded requests of the rollout"
    assert answers["rows_compared"] > 50
    assert answers["rows_changed"] == 0
    assert all(each["changed"] == 0 for each in answers["outputs"])
    assert all(each > 0 for each in (found["start"]["cpu_ms"]["a"], found["start"]["cpu_ms"]["b"]))
