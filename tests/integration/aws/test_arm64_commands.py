"""Artifacts for arm64 on x86_64: built, verified, invoked, served and run as deployments do."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.invoke import invoke_artifact
from packager.deployments._artifact import provide_artifact
from packager.deployments._local import boot_function, call_over_http
from packager.deployments._settings import parse
from packager.environments.machine.qemu import find_qemu
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.targets.lambda_emulator import http_event
from packager.targets.lambda_emulator.parts import host_architecture
from packager.types import Engine, make_request
from tests import models

pytestmark = [
    pytest.mark.slow,
    pytest.mark.rare,
    pytest.mark.skipif(
        host_architecture() != "x86_64" or find_qemu() is None,
        reason="this machine is not x86_64, or has no qemu-aarch64",
    ),
]
CASES = {
    "machine code": ("lightgbm_booster", Engine.MACHINE_CODE),
    "a native pipeline": ("sklearn_columns", Engine.NATIVE),
}


@pytest.fixture(scope="module", params=list(CASES))
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, engine = CASES[request.param]
    folder = tmp_path_factory.mktemp("arm64") / "built"
    wanted = make_request(
        model_uri=str(models.folder(name)),
        out_dir=folder,
        architecture="arm64",
        engine=engine,
        trace=False,  # minutes less
    )
    build(wanted, MlflowRegistry(None, None))
    return folder


def test_it_is_proven_and_verifies(artifact: Path) -> None:
    evidence = json.loads((artifact / "evidence.json").read_text())["evidence"]

    assert evidence["proven"] is True
    assert evidence["rows_compared"] >= 1000
    assert evidence["sandbox"]["emulated"].startswith("qemu-aarch64 ")
    assert list_problems(verify_artifact(artifact)) == []


def test_invoke_answers_its_example(artifact: Path) -> None:
    found = invoke_artifact(
        artifact, data=None, http=False, content_type="", repeat=2, memory_mb=None
    )

    assert not found["failed"], found["log"]
    assert json.loads(found["response"])["predictions"]


def test_serve_answers_as_deployed(artifact: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = [sys.executable, "-m", "packager", "serve", str(artifact), "--as-deployed"]
    with log.open("wb") as out:
        process = subprocess.Popen([*argv, "--port", "0"], cwd=tmp_path, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 300
        while not (found := re.search(r"running on (http://[0-9.:]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert httpx.get(f"{found[1]}/ping", timeout=120).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, 143}, log.read_text()


def test_it_runs_as_mlflow_deployments_run_it(artifact: Path) -> None:
    settings = parse({})
    with (
        provide_artifact(str(artifact), None, settings) as built,
        boot_function(built, settings) as emulator,
    ):
        status, *_ = call_over_http(emulator, http_event("GET", "/ping", b"", {}))

    assert status == 200
