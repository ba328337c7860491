"""`packager serve` on an artifact's folder and straight from a model, over real HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests import models
from tests.integration.conftest import SHARED

pytestmark = pytest.mark.slow


@contextmanager
def served(source: str | Path, folder: Path) -> Iterator[str]:
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "packager", "serve", str(source), "--port", "0"],
            cwd=folder, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 400
        while not (found := re.search(r"running on (http://[0-9.:]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, 143}, log.read_text()


def check(address: str, example: bytes) -> None:
    with httpx.Client(base_url=address, timeout=30) as client:
        headers = {"content-type": "application/json"}
        answer = client.post("/invocations", content=example, headers=headers)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["predictions"]) == len(
            json.loads(example)["dataframe_split"]["data"]
        )
        assert client.get("/ping").status_code == 200
        assert "swagger" in client.get("/docs").text.lower()
        document = json.dumps(client.get("/openapi.json").json())
        assert json.loads(example)["dataframe_split"]["columns"][0] in document


def test_straight_from_a_model(tmp_path: Path) -> None:
    model = models.folder("onnx_columns")
    with served(model, tmp_path) as address:
        check(address, (model / "serving_input_example.json").read_bytes())


def test_an_artifact(artifact: Path, tmp_path: Path) -> None:
    before = sorted(os.walk(artifact))
    # named from another folder, as it is where somebody works
    with served(os.path.relpath(artifact, tmp_path), tmp_path) as address:
        check(address, (models.folder(SHARED) / "serving_input_example.json").read_bytes())
    assert sorted(os.walk(artifact)) == before


def test_what_is_served_is_asked_its_proof_again(artifact_of_rollout: Path, tmp_path: Path) -> None:
    other = shutil.copytree(artifact_of_rollout, tmp_path / "other")
    replay = other / "rollout" / "replay.jsonl"
    rule, first, *rest = replay.read_text().splitlines()
    sample = json.loads(first)
    sample["answer"]["predictions"][0] += 1e-9
    replay.write_text("\n".join([rule, json.dumps(sample), *rest]) + "\n")

    with served(artifact_of_rollout, tmp_path) as address:
        done, differing = (_replay(each, address) for each in (artifact_of_rollout, other))

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["passed"]
    assert found["requests"] == found["asked"] > 10
    assert differing.returncode == 7
    assert json.loads(differing.stdout)["differing"] == 1


def _replay(folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "packager", "replay", folder, address, "--quiet"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
