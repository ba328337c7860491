"""Built apps under the real worker library and between real queues: two builds, asked by all.

Both are graphs: one behind some doors under the older worker (Python 3.12), the other behind every
door and with telemetry (Python 3.13).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from handlers.events import azure_triggers
from packager.commands.invoke import invoke_artifact
from packager.environments import interpreters, virtual_environments
from packager.targets.hosts import Boot, Call
from packager.targets.hosts.functions_worker import WorkerHost
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import BuildReport
from tests.integration.azure import azurite, ingestion, messages
from tests.integration.azure.azurite import Storage
from tests.integration.azure.listener import BLOB_POISON, Faults, Listener, taken

_WHY_NOT = why_not_bootable("x86_64")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "it boots")]
needs_azurite = pytest.mark.skipif(
    bool(azurite.why_not()), reason=azurite.why_not() or "it is there"
)
SOME = ("queue", "blob", "eventgrid", "servicebus")
EVERY = (*azure_triggers.TRIGGERS, azure_triggers.BATCHES)
DOORS = {"3.12": SOME, "3.13": EVERY}
DOCTOR = "azure-functions-doctor==0.23.1"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BuildReport]:
    base = tmp_path_factory.mktemp("built")
    return {
        "3.12": messages.built(base / "3.12", "3.12", model="onnx_tensor", events=SOME),
        "3.13": messages.built(base / "3.13", "3.13", events=EVERY, opentelemetry=True),
    }


@pytest.fixture(scope="module")
def boot(reports: dict[str, BuildReport]) -> Boot:
    folder = reports["3.13"].artifact.folder
    return Boot(folder=folder, interpreter=interpreters.find("3.13"), entrypoint="")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with azurite.running(tmp_path_factory.mktemp("azurite")) as found:
        yield found


def example(folder: Path) -> bytes:
    (path,) = folder.rglob("model/serving_input_example.json")
    return path.read_bytes()


@pytest.mark.parametrize("minor", DOORS)
def test_an_app_is_indexed_and_answers_by_every_door_as_the_model_does(
    minor: str, reports: dict[str, BuildReport]
) -> None:
    report = reports[minor]
    evidence = report.evidence

    assert (evidence.proven, evidence.replay.mismatches, evidence.replay.max_abs_error) == (
        True,
        0,
        0.0,
    )
    assert evidence.replay.rows_compared >= 1000
    doors = ", ".join(DOORS[minor])
    assert evidence.replay.doors == f"one message each by {doors}: answered as over HTTP"
    assert evidence.replay.cold_start is not None
    assert evidence.replay.cold_start.init_wall_ms < report.plan.target.limits.init_seconds * 1000
    locked = tomllib.loads((report.artifact.folder.parent / "pylock.toml").read_text("utf-8"))
    versions = {each["name"]: each["version"] for each in locked["packages"]}
    assert versions["azure-functions"].startswith("1." if minor == "3.12" else "2.")
    assert ("azure-functions-runtime" in versions) == (minor == "3.13")
    with zipfile.ZipFile(report.artifact.path) as archive:
        assert {"host.json", "function_app.py"} <= set(archive.namelist())


@pytest.mark.parametrize("minor", DOORS)
@pytest.mark.parametrize("event", [None, "queue"])
def test_it_is_invoked_from_the_command_line_s_side(
    event: str | None, minor: str, reports: dict[str, BuildReport]
) -> None:
    answer = invoke_artifact(
        reports[minor].artifact.folder.parent,
        data=None,
        http=False,
        content_type="application/json",
        repeat=1,
        memory_mb=None,
        event=event,
    )

    assert answer["failed"] is False
    assert json.loads(answer["response"])["predictions"]


def test_it_is_served_as_deployed(reports: dict[str, BuildReport], tmp_path: Path) -> None:
    out = reports["3.13"].artifact.folder.parent
    log = tmp_path / "log"
    words = ("-m", "packager", "serve", str(out), "--as-deployed", "--port", "0")
    with log.open("wb") as to:
        process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, stdout=to, stderr=to)
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"running on (http://[0-9.:]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=found[1], timeout=30) as client:
            headers = {"content-type": "application/json"}
            answer = client.post("/invocations", content=example(out), headers=headers)
            wrong = client.post("/invocations", content=b"{", headers=headers)
            alive = client.get("/ping")
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)

    assert (answer.status_code, wrong.status_code, alive.status_code) == (200, 400, 200)
    assert answer.json()["predictions"]
    assert wrong.json()["error_code"] == "BAD_REQUEST"
    assert code in {0, 130}, log.read_text()


@pytest.mark.parametrize("minor", DOORS)
def test_azure_s_doctor_finds_no_failure(minor: str, reports: dict[str, BuildReport]) -> None:
    python = virtual_environments.ensure(interpreters.find(minor), [DOCTOR], label="doctor")
    told = subprocess.run(
        [
            *(python.parent / "azure-functions-doctor", "doctor"),
            *("--path", reports[minor].artifact.folder, "--format", "json"),
            *("--deployment-mode", "local-prebuilt", "--hosting-plan", "flex-consumption"),
            *("--target-python", minor),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    checks = [item for each in json.loads(told.stdout)["results"] for item in each["items"]]
    assert len(checks) > 10
    assert [item for item in checks if item["status"] == "fail"] == []


def test_metrics_spans_and_logs_arrive_without_the_request(boot: Boot) -> None:
    body = example(boot.folder)
    with (
        ingestion.listening() as sink,
        WorkerHost(replace(boot, env=sink.variables, network=True)) as host,
    ):
        host.ask(Call(body=body, content_type="application/json"))
        host.ask(Call(body=b'{"secret": 1}', content_type="application/json"))
        host.deliver("queue", body)
        sink.wait(lambda: len(sink.of("MessageData")) >= 3)
        sink.wait(lambda: len(sink.of("RemoteDependencyData")) >= 3)
        sink.wait(lambda: "records" in totals(sink.of("MetricData")))

    logs = [json.loads(each["message"]) for each in sink.of("MessageData")]
    assert [(each["function"], each["status"]) for each in logs] == [
        ("http", 200),
        ("http", 400),
        ("queue", 200),
    ]
    spans = [each["properties"]["model.status"] for each in sink.of("RemoteDependencyData")]
    assert spans == ["200", "400", "200"]
    inside = {
        each["tags"].get("ai.operation.parentId") for each in sink.items if "Dep" in str(each)
    }
    assert len(inside) == 3
    assert None not in inside
    found = totals(sink.of("MetricData"))
    assert (found["invocations"], found["bad_requests"], found["records"]) == (3, 1, 1)
    assert {"latency", "model_latency", "rows", "cold_start", "payload_bytes"} <= set(found)
    assert "secret" not in json.dumps(sink.items)


def totals(sent: list[dict[str, Any]]) -> dict[str, float]:
    """Of each metric what it came to, over functions; each export tells what is new."""
    found: dict[str, float] = {}
    for each in sent:
        (metric,) = each["metrics"]
        found[metric["name"]] = found.get(metric["name"], 0) + metric["value"]
    return found


@needs_azurite
def test_nothing_is_lost_whatever_fails_on_the_way(boot: Boot, storage: Storage) -> None:
    faults = Faults(seed=7, worker_dies=0.01, output_fails=0.1, host_dies=0.05)
    came = messages.through_a_queue(boot, storage, 200, faults)

    assert (came.lost, came.wrong) == (0, 0)
    assert came.poison_bad == came.bad
    assert came.answered + came.poison_good >= came.sent - came.bad
    assert came.twice <= came.faults["host_dies"]
    assert min(came.faults.values()) > 0
    assert came.worker_starts == came.faults["worker_dies"] + 1


@needs_azurite
def test_a_blob_is_answered_or_named_among_the_poison(boot: Boot, storage: Storage) -> None:
    container = storage.blobs.get_container_client("requests")
    with Listener(boot, storage) as listener:
        container.upload_blob("good.json", example(boot.folder))
        container.upload_blob("bad.json", b"[]")
        listener.blobs()

    (answer,) = (json.loads(text) for text in taken(storage, "answers"))
    assert (answer["id"], answer["source"]) == ("requests/good.json", "blob")
    assert len(answer["predictions"]) >= 1
    (named,) = (json.loads(text) for text in taken(storage, BLOB_POISON))
    assert named["BlobName"] == "requests/bad.json"
    assert listener.invocations == 6
