"""A real artifact asked sixteen requests at once, as an environment of managed instances is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.aws.runtime_api import Processes, run_processes
from tests.integration.aws.services import Services

pytestmark = pytest.mark.slow

_AT_ONCE: Final = 16


@pytest.fixture(scope="module")
def services(endpoint: str, credentials: dict[str, str]) -> Services:
    made = Services(endpoint, credentials)
    made.objects.create_bucket(Bucket="answers")
    made.objects.put_bucket_versioning(
        Bucket="answers", VersioningConfiguration={"Status": "Enabled"}
    )
    made.client("dynamodb").create_table(
        TableName="answered",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    return made


@pytest.fixture(scope="module")
def processes(
    artifact_of_events: Path, services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Processes]:
    manifest = json.loads((artifact_of_events / "model-manifest.json").read_text("utf-8"))
    variables = {
        **services.credentials,
        "AWS_REGION": services.credentials["AWS_DEFAULT_REGION"],
        "AWS_ENDPOINT_URL": services.endpoint,
        "PACKAGER_OUTPUT": "s3://answers/out",
        "PACKAGER_FAILURES": services.queues.create_queue(QueueName="failures")["QueueUrl"],
        "PACKAGER_ONCE_TABLE": "answered",
        "PACKAGER_HTTP": "1",
    }
    work = tmp_path_factory.mktemp("instances")
    with run_processes(
        artifact_of_events / "function", manifest["python"], _AT_ONCE, work, variables
    ) as running:
        yield running


def _read_event(artifact: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((artifact / "events" / f"{name}.json").read_text("utf-8"))
    return found


def _count_lines(log: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The log's lines of requests, and of their metrics; each line is a whole document."""
    found = [json.loads(line) for line in log.read_text().splitlines() if line.strip()]
    answered = [each for each in found if each.get("message") == "answered"]
    return answered, [each for each in found if "_aws" in each]


def test_sixteen_at_once_each_get_their_own_answer(
    processes: Processes, artifact_of_events: Path
) -> None:
    event = _read_event(artifact_of_events, "direct")
    (name,) = (key for key in event if key.startswith("dataframe"))
    rows = event[name]["data"]
    events = [
        json.dumps({name: {**event[name], "data": rows[i % len(rows) :] + rows[:i]}}).encode()
        for i in range(_AT_ONCE)
    ]

    alone = [processes.ask_at_once([each])[0] for each in events]
    together = processes.ask_at_once(events)

    assert [json.loads(each) for each in together] == [json.loads(each) for each in alone]
    assert len(set(together)) > 1
    answered, metrics = _count_lines(processes.log)
    ids = [each["function_request_id"] for each in answered]
    assert len(ids) == len(set(ids)) == len(metrics) == 2 * _AT_ONCE
    # all were started before anybody asked
    assert {each["ColdStart"][0] for each in metrics} == {0.0}


def test_a_record_that_comes_to_sixteen_at_once_is_delivered_once(
    processes: Processes, artifact_of_events: Path, services: Services
) -> None:
    event = _read_event(artifact_of_events, "sqs")
    event["Records"] = event["Records"][:1]

    replies = processes.ask_at_once([json.dumps(event).encode()] * _AT_ONCE)

    done = [json.loads(each) for each in replies]
    assert all(set(each) == {"batchItemFailures"} for each in done), done
    assert any(each["batchItemFailures"] == [] for each in done)
    assert len(list(services.versions("answers", "out/"))) == 1
