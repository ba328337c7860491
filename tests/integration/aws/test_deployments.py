"""MLflow's own command line, from a registered model to a deployment that answers, and back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import httpx
import pytest
from mlflow.exceptions import MlflowException

from packager.deployments import AwsLambdaDeploymentClient, _aws
from packager.environments import interpreters
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system import process as _process
from packager.system import procfs
from packager.types import Front
from tests import fake_plan, models, sam
from tests.integration.conftest import SHARED

pytestmark = pytest.mark.slow

REGISTERED = "sklearn_skops"
"""The model that is in the registry, one of tests/models."""
QUICKLY = ("-C", "passes=libraries,prune")
"""How small it gets is not what is asked here."""
Mlflow: TypeAlias = Callable[..., _process.Done]
_MLFLOW = Path(sys.executable).with_name("mlflow")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry in which `one` has a version, `champion`."""
    folder = tmp_path_factory.mktemp("registry")
    code = (
        "import sys, mlflow\n"
        "client = mlflow.MlflowClient(sys.argv[1], sys.argv[1])\n"
        "client.create_registered_model('one')\n"
        "client.create_model_version('one', sys.argv[2])\n"
        "client.set_registered_model_alias('one', 'champion', '1')\n"
    )
    argv: list[str | Path] = [sys.executable, "-W", "ignore", "-c", code]
    _process.run([*argv, f"sqlite:///{folder / 'mlflow.db'}", models.folder(REGISTERED)])
    return folder


@pytest.fixture(scope="module")
def environment(registry: Path, credentials: dict[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MLFLOW_", "VIRTUAL"))}
    tracking = f"sqlite:///{registry / 'mlflow.db'}"
    return {**kept, **credentials, "MLFLOW_TRACKING_URI": tracking, "COLUMNS": "100"}


@pytest.fixture(scope="module")
def deployments(endpoint: str, environment: dict[str, str], registry: Path) -> Mlflow:
    """`deployments("create", ...)`: the `mlflow deployments` command against the cloud."""

    def call(verb: str, *args: str, check: bool = True) -> _process.Done:
        argv: list[str | Path] = [_MLFLOW, "deployments", verb, "-t", "aws-lambda", *args]
        env = {**environment, "AWS_ENDPOINT_URL": endpoint}
        return _process.run(argv, cwd=registry, env=env, timeout_seconds=500, check=check)

    return call


@pytest.fixture(scope="module")
def bucket(endpoint: str, credentials: dict[str, str]) -> str:
    session = boto3.Session(
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        region_name=credentials["AWS_DEFAULT_REGION"],
    )
    session.client("s3", endpoint_url=endpoint).create_bucket(Bucket="models")
    return "models"


def _example(name: str) -> Path:
    """A request file: the example that was logged with the model."""
    return models.folder(name) / "serving_input_example.json"


def _description(shown: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line)


def test_the_command_line_deploys_a_registered_model(
    deployments: Mlflow, artifact: Path, bucket: str, tmp_path: Path
) -> None:
    config = ("-C", f"bucket={bucket}", "-C", "tags=team=ml", "-C", "Tracing=enabled", *QUICKLY)
    named = ("--name", "first")

    made = deployments("create", *named, "-m", "models:/one@champion", *config)

    assert "sklearn deployment first is created" in made.stdout
    assert "Reading the model" in made.stderr
    found = _description(deployments("get", *named).stdout)
    assert found["model_uri"] == "models:/one@champion"
    assert found["parameter Tracing"] == "enabled"
    request = _example(REGISTERED)
    answer = deployments("predict", *named, "-I", str(request))
    assert json.loads(answer.stdout) == _answers(REGISTERED, request)

    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps([{"no such column": 1}]))
    refused = deployments("predict", *named, "-I", str(wrong), check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: first: ")

    other = deployments("update", *named, "-m", str(artifact))
    assert "with flavor lightgbm" in other.stdout
    request = _example(SHARED)
    answer = deployments("predict", *named, "-I", str(request))
    assert json.loads(answer.stdout) == _answers(SHARED, request)

    deployments("delete", *named)
    assert "'name': 'first'" not in deployments("list").stdout


def _tiny(base: Path, answer: int, **asked: Any) -> str:
    """The folder of an artifact whose function says `answer`, whatever it is asked."""
    newest = interpreters.available(("3.13", "3.12", "3.11"))[0].minor
    plan = fake_plan.plan(
        request=fake_plan.request(front=Front.HTTP_API, **asked),
        runtime=replace(fake_plan.RUNTIME, name=f"python{newest}", python_minor=newest),
    )
    code = f"def handler(event, context):\n    return {{'predictions': [{answer}]}}\n"
    root = fake_plan.tree(base / "tree", plan, {"handlers/aws_lambda.py": code.encode()})
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)
    return str(out)


def test_a_deployment_changes_and_ends(
    endpoint: str,
    bucket: str,
    credentials: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**credentials, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    one, two = _tiny(tmp_path / "one", 1), _tiny(tmp_path / "two", 2)
    client = AwsLambdaDeploymentClient(f"aws-lambda:/{sam.REGION}")

    made = client.create_deployment("a/b c", one, config={"bucket": bucket, "memory": 768})
    with pytest.raises(MlflowException, match="already"):
        client.create_deployment("a/b c", one, config={"bucket": bucket})

    assert made["alias_arn"].endswith(":live")
    assert made["url"].startswith("https://")
    assert client.predict("a/b c", [1]) == {"predictions": [1]}
    # the very same again, and settings alone
    client.update_deployment("a/b c", one)
    client.update_deployment("a/b c", config={"Tracing": "enabled"})
    # a template larger than a request may carry
    monkeypatch.setattr(_aws, "_LARGEST_TEMPLATE_BYTES", 0)
    changed = client.update_deployment("a/b c", two, config={"tags": {"team": "ml"}})
    assert client.predict("a/b c", [1]) == {"predictions": [2]}
    assert changed["parameter MemorySizeMb"] == "768"
    assert changed["parameter Tracing"] == "enabled"
    assert changed["code"] != made["code"]
    shares = {"version 1": "0 %", "version 2": "100 %"}
    assert client.get_deployment("a/b c") == {**changed, **shares}
    assert [one["name"] for one in client.list_deployments()] == ["a/b c"]

    queued = _tiny(tmp_path / "queued", 3, events=("sqs",), output_to=f"s3://{bucket}/answers")
    config = {"bucket": bucket, "QueueBatchSize": 5}
    made = client.create_deployment("queued", queued, config=config)
    assert made["parameter QueueBatchSize"] == "5"
    assert client.predict("queued", [1]) == {"predictions": [3]}
    client.delete_deployment("queued")

    client.delete_deployment("a/b c")
    client.delete_deployment("a/b c")
    assert client.list_deployments() == []
    with pytest.raises(MlflowException) as gone:
        client.predict("a/b c", [1])
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def _answers(name: str, request: Path) -> Any:
    """What MLflow itself answers, in an interpreter of its own."""
    code = (
        "import json, sys, mlflow.pyfunc\n"
        "from mlflow.pyfunc.scoring_server import invocations\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "body = open(sys.argv[2]).read()\n"
        "schema = model.metadata.get_input_schema()\n"
        "print(invocations(body, 'application/json', model, schema).response)\n"
    )
    argv: list[str | Path] = [sys.executable, "-W", "ignore", "-c", code, models.folder(name)]
    return json.loads(_process.run([*argv, request]).stdout)


@pytest.fixture
def local(
    source: str,
    artifact: Path,
    environment: dict[str, str],
    registry: Path,
    tmp_path: Path,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`run-local` up, of a model or of what was built: its address and its process."""
    log = tmp_path / "log"
    argv: list[str | Path] = [_MLFLOW, "deployments", "run-local", "-t", "aws-lambda"]
    config = ("--name", "here", "-m", source or str(artifact), "-C", "port=0")
    how = QUICKLY if source else ()
    # where the tests run in the background, a shell has them ignore interrupts; it is inherited
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = _process.start([*argv, *config, *how], cwd=registry, env=environment, log=log)
    signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 300
        while not (found := re.search(r"answers at (http://\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"it did not come up:\n{log.read_text()}")
            time.sleep(0.2)
        yield found[1], process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("source", "name", "number", "code"),
    [
        ("models:/one@champion", REGISTERED, signal.SIGINT, 0),
        ("", SHARED, signal.SIGTERM, 143),
    ],
)
def test_run_local_answers_until_it_is_told_to_end(
    local: tuple[str, subprocess.Popen[bytes]], name: str, number: signal.Signals, code: int
) -> None:
    address, process = local
    request = _example(name)

    answer = httpx.post(
        f"{address}/invocations",
        content=request.read_bytes(),
        headers={"content-type": "application/json"},
        timeout=60,
    )
    refused = httpx.post(f"{address}/invocations", json={"x": 1}, timeout=60)
    alive = httpx.get(f"{address}/ping", timeout=60)

    assert (answer.status_code, answer.json()) == (200, _answers(name, request))
    assert (refused.status_code, refused.json()["error_code"]) == (400, "BAD_REQUEST")
    assert alive.status_code == 200
    children = _children(process.pid)
    assert children
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    assert [pid for pid in children if procfs.stat(pid)] == []


def _children(pid: int) -> list[int]:
    """Every process under `pid`, as it stands."""
    direct = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return direct + [below for child in direct for below in _children(child)]
