"""`make demo-rollout`: three versions of a model, one of them wrong, rolled out on this machine.

The cloud is a stand-in on the loopback interface (moto, and CodeDeploy's states beside it). What
runs in it is real: what `packager build` emits, by `sam deploy`, under Lambda's emulator.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
_WANTED: Final = ("deployed", "refused", "promoted")
"""How the deployment of each version has to end."""
_MARK: Final = ".demo-rollout"
"""File in a folder that an earlier demo made, which the next one may remove."""
_PAUSE_SECONDS: Final = 0.05
"""After a request that was lost: nobody asks a cloud that is gone in a busy loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Requests that callers sent while a version was deployed."""

    answered: int = 0
    lost: int = 0
    why: str = ""
    """Why the first of the lost ones was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the deployment of one version ended."""

    ended: str
    """deployed, refused or promoted."""
    text: str
    calls: Calls | None
    """None while nobody could ask: there was no version before."""


def main(folder: Path) -> int:
    """Run the demo under `folder`; 0 where each version ended as it should and no request was lost.

    Raises SystemExit for a folder that holds files of somebody's.
    """
    folder = folder.absolute()
    make_folder(folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    built = [_build_version(folder, uri, version) for version in (1, 2, 3)]
    _spoil_answers(built[_WRONG - 1])
    log = folder / "deployments.jsonl"
    cli = ensure_sam()
    with serve_cloud(folder, log) as address:
        outcomes = [_deploy(cli, address, folder, out, log) for out in built]
    _say("")
    for version, outcome in enumerate(outcomes, 1):
        _say(f"version {version}: {outcome.ended}, {outcome.text}")
    problems = list_problems(outcomes)
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return 1 if problems else 0


def make_folder(folder: Path) -> None:
    """Make it anew. Raises SystemExit where something lies there that no demo made."""
    mark = folder / _MARK
    own = folder.is_dir() and not folder.is_symlink()
    if own and mark.is_file():
        shutil.rmtree(folder)
    elif os.path.lexists(folder) and not (own and not any(folder.iterdir())):
        sys.exit(
            f"{folder} was not made by this demo, and stays as it is. Move it away, and run the "
            "demo again."
        )
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()


def list_problems(outcomes: Sequence[Outcome]) -> list[str]:
    """Say in what the three deployments did not go as they should."""
    problems = []
    for version, (outcome, wanted) in enumerate(zip(outcomes, _WANTED, strict=True), 1):
        calls = outcome.calls
        if outcome.ended != wanted:
            problems.append(f"Version {version} should be {wanted}, and was {outcome.ended}.")
        if calls is not None and calls.lost:
            problems.append(
                f"{calls.lost:,} requests of callers were lost while version {version} was "
                f"deployed. The first one: {calls.why}"
            )
        if version > 1 and not (calls and calls.answered):
            problems.append(f"No caller was answered while version {version} was deployed.")
    return problems


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


def _deploy(cli: Path, address: str, folder: Path, artifact: Path, log: Path) -> Outcome:
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
    names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    named = next((name for name in names if "RolloutCheck" not in name), None)
    argv = ("deploy", "--no-progressbar", "--no-confirm-changeset")
    if named is None:
        done, calls = call_sam(cli, address, folder, artifact, *argv, check=False), None
    else:
        with call_alias(functions, f"{named}:live", body) as count:
            done = call_sam(cli, address, folder, artifact, *argv, check=False)
        calls = count()
    told = _read_log(log)[before:]
    if not told:
        ended = "failed" if done.returncode else "deployed"
        text = "nothing was moved" if calls else "the first version: nothing to compare with"
        return Outcome(ended=ended, text=text, calls=calls)
    check = told[0]["check"]
    asked = f"its check asked {check['asked']} requests, {check['differing']} differ"
    if calls is not None:
        asked += f"; {calls.answered:,} requests of callers answered, {calls.lost:,} lost"
    if done.returncode:
        text = f"the alias stays at version {told[0]['from']}: {asked}"
        return Outcome(ended="refused", text=text, calls=calls)
    return Outcome(ended="promoted", text=f"by way of a canary: {asked}", calls=calls)


@contextmanager
def call_alias(functions: Any, name: str, body: bytes) -> Iterator[Callable[[], Calls]]:
    """Ask the function for as long as the block runs; yields what counts the requests.

    A request is lost if the function fails, and if none of it came back at all.
    """
    over, counts, reasons = threading.Event(), Counter[str](), list[str]()

    def call() -> str:
        answer = functions.invoke(FunctionName=name, Payload=body)
        text = answer["Payload"].read().decode(errors="replace")
        return f"{answer['FunctionError']}: {text}" if "FunctionError" in answer else ""

    def call_on() -> None:
        while not over.is_set():
            try:
                why = call()
            except Exception as error:  # noqa: BLE001 - whatever it is, a caller has no answer
                why = f"{type(error).__name__}: {error}"
            counts["lost" if why else "answered"] += 1
            if why:
                reasons.append(why)
                over.wait(_PAUSE_SECONDS)

    caller = threading.Thread(target=call_on)
    caller.start()
    try:
        yield lambda: Calls(**counts, why=next(iter(reasons), ""))
    finally:
        over.set()
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
