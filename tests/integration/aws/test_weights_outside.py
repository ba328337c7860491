"""A model too large for the zip: built with its weights outside, pushed, fetched from S3."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from packager import targets
from packager.commands import artifact as artifacts
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.cloud.weights import push_weights
from packager.commands.invoke import invoke_artifact
from packager.commands.local_boot import prepare_boot
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.targets.hosts import HOSTS, Answered, Boot, Call
from packager.types import Engine, Weights, make_request
from tests import models

pytestmark = [pytest.mark.slow, pytest.mark.rare]
BALLAST_BYTES = 230_000_000
WHERE = "s3://models/weights/diabetes"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a model that has more bytes than a zip may have, with what it needs."""
    base = tmp_path_factory.mktemp("weights outside")
    model = shutil.copytree(models.folder("sklearn_pickle"), base / "model")
    estimator = pickle.loads((model / "model.pkl").read_bytes())  # noqa: S301 - our own
    estimator.ballast_ = np.zeros(BALLAST_BYTES, np.uint8)
    (model / "model.pkl").write_bytes(pickle.dumps(estimator, protocol=5))
    request = make_request(
        str(model), out_dir=base / "out", engine=Engine.NATIVE, weights=Weights.AUTO, rows=50
    )
    build(request, MlflowRegistry(None, None))
    return base / "out"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Variables of a function that reaches moto's S3, where a bucket has been made."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    told = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="models")
    yield {**told, "PACKAGER_WEIGHTS": WHERE}
    server.stop()


def _read(artifact: Path, name: str) -> Any:
    return json.loads((artifact / name).read_text())


def test_it_is_proven_with_its_weights_outside(artifact: Path) -> None:
    evidence, report = _read(artifact, "evidence.json"), _read(artifact, "report.json")
    assert evidence["evidence"]["proven"]
    assert (
        "it fetched them to /tmp in ranges by signed requests"
        in (evidence["evidence"]["checks"]["weights"])
    )
    assert report["unzipped_bytes"] < 262_144_000 < report["unzipped_bytes"] + BALLAST_BYTES
    (weight,) = _read(artifact, "model-manifest.json")["weights"]
    assert weight["path"] == "model.pkl"
    assert list_problems(verify_artifact(artifact)) == []


def test_invoke_serves_the_artifacts_own_weights(artifact: Path) -> None:
    found = invoke_artifact(
        artifact, data=None, http=False, content_type="", repeat=1, memory_mb=None, event=None,
        variables=[],
    )  # fmt: skip
    assert not found["failed"], found


def test_the_deployed_function_fetches_what_was_pushed(
    artifact: Path, store: dict[str, str]
) -> None:
    push_weights(artifact, WHERE)
    answer = _ask(artifact, store)
    assert answer.status == 200, answer.text
    assert answer.body["predictions"]


def test_a_function_whose_weights_were_not_pushed_says_so(
    artifact: Path, store: dict[str, str]
) -> None:
    # moto keeps what another test pushed
    answer = _ask(artifact, {**store, "PACKAGER_WEIGHTS": "s3://models/elsewhere"})
    assert answer.failure is not None
    assert "WeightsError" in answer.failure
    assert "cannot be read (404 NoSuchKey)" in answer.failure


def test_a_mounted_folder_is_used_where_it_lies(artifact: Path) -> None:
    built = artifacts.read(artifact)
    target, minor = targets.load(built.target), artifacts.read_manifest(built.folder).python
    with prepare_boot(built, target, minor) as boot:
        assert boot.weights is not None
        mounted = replace(boot, weights=replace(boot.weights, fetched=False))
        answer = _ask_booted(artifact, mounted)
    assert answer.status == 200, answer.text


def _ask(artifact: Path, variables: dict[str, str]) -> Answered:
    """Ask the function with nothing of its artifact's beside it, and the machine's network."""
    built = artifacts.read(artifact)
    target, minor = targets.load(built.target), artifacts.read_manifest(built.folder).python
    with prepare_boot(built, target, minor, network=True) as boot:
        alone = replace(boot, weights=None, env={**boot.env, **variables})
        return _ask_booted(artifact, alone)


def _ask_booted(artifact: Path, boot: Boot) -> Answered:
    call = Call(body=(artifact / "events" / "direct.json").read_bytes(), door="direct")
    host = targets.load("aws-lambda").program.host
    with HOSTS[host](boot) as function:
        return function.ask(call)
