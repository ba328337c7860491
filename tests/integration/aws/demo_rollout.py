"""`make demo-rollout`: three versions of a model, one of them wrong, rolled out on this machine.

The cloud is a stand-in on the loopback interface (moto, and CodeDeploy's states beside it). What
runs in it is real: what `packager build` emits, by `sam deploy`, under Lambda's emulator.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3

from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.system import process
from packager.system.resources import WORKERS
from packager.types import Rollout, make_request
from tests.integration.aws.cloud import CREDENTIALS, call_sam, ensure_sam, serve_cloud

_NAME: Final = "wine"
_WRONG: Final = 2
"""The version whose recorded answers are changed after its build, so that its check has to fail."""


def main(folder: Path) -> int:
    """Run the demo under `folder`; 0 where each version ended as it should."""
    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    built = [_build_version(folder, uri, version) for version in (1, 2, 3)]
    _spoil_answers(built[_WRONG - 1])
    log = folder / "deployments.jsonl"
    cli = ensure_sam()
    with serve_cloud(folder, log) as address:
        outcomes = [_deploy(cli, address, folder, out, log) for out in built]
    _say("")
    for version, outcome in enumerate(outcomes, 1):
        _say(f"version {version}: {outcome}")
    wanted = ["deployed", "refused", "promoted"]
    return 0 if [each.partition(",")[0] for each in outcomes] == wanted else 1


def _build_version(folder: Path, uri: str, version: int) -> Path:
    _say(f"Training, registering and building models:/{_NAME}/{version}")
    env = {
        **process.basic_environment(),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    worker = WORKERS / "train_demo.py"
    process.run([sys.executable, worker, _NAME, "champion", str(version)], cwd=folder, env=env)
    out = folder / "dist" / f"{_NAME}-{version}"
    request = make_request(
        model_uri=f"models:/{_NAME}/{version}",
        tracking_uri=uri,
        rollout=Rollout.CANARY,
        out_dir=out,
    )
    build(request, MlflowRegistry(uri, None))
    return out


def _spoil_answers(artifact: Path) -> None:
    replay = artifact / "rollout" / "replay.jsonl"
    rule, first, *rest = replay.read_text("utf-8").splitlines()
    sample = json.loads(first)
    sample["answer"]["predictions"][0] += 1
    replay.write_text("\n".join([rule, json.dumps(sample), *rest]) + "\n", "utf-8")


def _deploy(cli: Path, address: str, folder: Path, artifact: Path, log: Path) -> str:
    """Deploy by `sam deploy` while callers ask the alias, and tell how it ended."""
    before = len(_read_log(log))
    functions = boto3.client(
        "lambda",
        endpoint_url=address,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    body = (artifact / "events" / "direct.json").read_bytes()
    with _call_alias(functions, body) as calls:
        argv = ("deploy", "--no-progressbar", "--no-confirm-changeset")
        done = call_sam(cli, address, folder, artifact, *argv, check=False)
    told = _read_log(log)[before:]
    lost = f"{calls['answered']:,} requests of callers answered, {calls['lost']} lost"
    if not told:
        return f"deployed, the first version: nothing to compare with; {lost}"
    check = told[0]["check"]
    asked = f"its check asked {check['asked']} requests, {check['differing']} differ; {lost}"
    if done.returncode:
        return f"refused, the alias stays at version {told[0]['from']}: {asked}"
    return f"promoted, by way of a canary: {asked}"


@contextmanager
def _call_alias(functions: Any, body: bytes) -> Iterator[Counter[str]]:
    """Ask the live alias, where there is one, for as long as the block runs."""
    calls, over = Counter[str](), threading.Event()
    names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    named = next((name for name in names if "RolloutCheck" not in name), None)

    def call() -> None:
        while not over.is_set():
            answer = functions.invoke(FunctionName=f"{named}:live", Payload=body)
            answer["Payload"].read()
            calls["lost" if "FunctionError" in answer else "answered"] += 1

    caller = threading.Thread(target=call)
    if named is not None:
        caller.start()
    try:
        yield calls
    finally:
        over.set()
        if named is not None:
            caller.join()


def _read_log(log: Path) -> list[Mapping[str, Any]]:
    return (
        [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main(Path(sys.argv[1])))
