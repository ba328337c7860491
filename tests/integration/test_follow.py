"""An alias of a real MLflow server is moved five times, and the last version runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from packager.models.registry_tags import DeploymentTags
from tests import registries
from tests.attestations import make_key
from tests.unit.commands.artifact.test_integrity import _build

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.slow
NAME: Final = "churn"
ALIAS: Final = "production"
SECRET: Final = "a secret that no log may have"
QUICK: Final = ("--engine", "native", "--rows", "20", "--no-trace", "--passes", "prune,bytecode")
SERVER: Final = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Without the first two MLflow refuses webhooks that lead to this machine."""


@dataclass(frozen=True)
class Place:
    """A server, and the folder of one that follows it."""

    address: str
    folder: Path

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(self.address, self.address)

    def list_deployed(self) -> list[str]:
        log = self.folder / "deployed.txt"
        return log.read_text().split() if log.exists() else []

    def read_events(self) -> list[dict[str, str]]:
        lines = (self.folder / "events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def command(self, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "packager", "follow", f"models:/{NAME}@{ALIAS}"),
            *("--tracking-uri", self.address, "--deploy-command", "./deploy.sh"),
            *("--tag", "test", "--json", "--out", "followed", *QUICK, *more),
        ]


def until(holds: Callable[[], bool], seconds: float, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert running.poll() is None, f"it ended with {running.returncode}"
        assert time.monotonic() < end, f"it did not happen within {seconds} seconds"
        time.sleep(0.1)


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


@contextmanager
def end_after(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process and what it started, however the block ends."""
    try:
        yield
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    written = registries.unpack(registries.VERSIONS[-1], tmp_path / "server")
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", written.uri),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                *("--artifacts-destination", str(tmp_path / "artifacts")),
            ],
            env={**os.environ, **SERVER},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    with end_after(server):
        until(answers, 180, server)
        folder = tmp_path / "following"
        folder.mkdir()
        script = folder / "deploy.sh"
        script.write_text(
            "#!/bin/sh -e\ntest -f function.zip\n"
            f"echo $PACKAGER_MODEL_VERSION >> {folder}/deployed.txt\n"
        )
        script.chmod(0o755)
        yield Place(address, folder)


def test_the_last_of_five_moves_runs_and_none_runs_twice(place: Place, quiet: None) -> None:
    from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

    client, port = place.client, find_port()
    first = client.get_model_version(NAME, "1")
    for _ in range(4):
        client.create_model_version(NAME, first.source, run_id=first.run_id, await_creation_for=0)
    client.create_webhook(
        name="follow",
        url=f"http://127.0.0.1:{port}/",
        events=[WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)],
        secret=SECRET,
    )
    listening = ("--listen", f"127.0.0.1:{port}", "--interval", "86400")
    with (
        (place.folder / "events.jsonl").open("wb") as events,
        (place.folder / "progress.log").open("wb") as progress,
    ):
        following = subprocess.Popen(
            place.command(*listening),
            cwd=place.folder,
            env={**os.environ, "PACKAGER_WEBHOOK_SECRET": SECRET},
            stdout=events,
            stderr=progress,
            start_new_session=True,
        )
    with end_after(following):
        # the alias is not there yet, and nobody looks again within a day unless a delivery comes
        until(lambda: "failed" in list_names(place), 120, following)
        for version in ("1", "2", "3", "2", "5"):
            client.set_registered_model_alias(NAME, ALIAS, version)
        until(lambda: "tagged" in list_names(place), 400, following)
        following.terminate()
        assert following.wait(60) == 143

    assert place.list_deployed() == ["5"]
    names = list_names(place)
    assert names.count("webhook") == 5
    assert names[-3:] == ["deploying", "deployed", "tagged"]
    assert SECRET not in (place.folder / "progress.log").read_text()
    assert SECRET not in (place.folder / "events.jsonl").read_text()
    (tagged,) = [each for each in client.search_model_versions("") if each.tags]
    assert str(tagged.version) == "5"
    assert [*tagged.tags] == [DeploymentTags(NAME, "test").key]
    check_nothing_is_left_to_do(place)


def list_names(place: Place) -> list[str]:
    return [each["event"] for each in place.read_events()]


def check_nothing_is_left_to_do(place: Place) -> None:
    """Another run has nothing to do, with the state and without it: the tag says what runs."""
    for state in ("followed", "elsewhere"):
        words = [state if word == "followed" else word for word in place.command("--run-once")]
        done = subprocess.run(
            words, cwd=place.folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        named = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        assert named == ["started", "unchanged"]
    assert place.list_deployed() == ["5"]


def test_what_was_signed_is_written_to_the_version(
    place: Place, tmp_path: Path, quiet: None
) -> None:
    artifact = _build(tmp_path)
    key, _ = make_key(tmp_path)
    first = place.client.get_model_version(NAME, "1")
    report = json.loads((artifact / "report.json").read_text())
    report["model"]["run_id"] = first.run_id
    (artifact / "report.json").write_text(json.dumps(report))
    last = first
    while int(last.version) < 7:
        last = place.client.create_model_version(
            NAME, first.source, run_id=first.run_id, await_creation_for=0
        )

    done = subprocess.run(
        [
            *(sys.executable, "-m", "packager", "sign", str(artifact), "--key", str(key)),
            *("--tag", "--tracking-uri", place.address, "--json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    tags = place.client.get_model_version(NAME, "7").tags
    told = json.loads(tags["packager.attested.aws-lambda"])
    assert told["key"] == json.loads(done.stdout)["key"]
    assert told["verdict"] == "bit-equal"
    assert "packager.attested.aws-lambda" not in place.client.get_model_version(NAME, "6").tags
