"""Records through a queue to the bytes that were deployed: none lost, and each answered once.

The template is deployed by the SAM CLI; what it made in moto (queues, table, role, trigger, the
function's variables) is what the run uses. The trigger itself is played here, by Lambda's rules:
what is not named in the partial response is deleted, everything else comes again when its
visibility ends, and now and then what is done with is delivered a second time. The function runs
under the real runtime client and emulator; in every fourth invocation its process is killed at a
random moment.

PACKAGER_RECORDS sets how many records are sent.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import pytest

from packager import interpreters
from packager.emulator import Emulator
from packager.pipeline import build
from packager.registry import MlflowRegistry
from packager.types import BuildRequest, Front
from tests import models
from tests.integration.aws.conftest import Sam

pytestmark = pytest.mark.slow

RECORDS = int(os.environ.get("PACKAGER_RECORDS", "200"))
BATCH = 20
POISON_EVERY = 20
KILL_EVERY = 4
REPEATED = 0.05
TIMEOUT_SECONDS = 30
"""So long does the claim of a process that was killed hold."""
VISIBILITY_SECONDS = 31
PATIENCE_SECONDS = 540


class Services:
    """Clients of one endpoint."""

    def __init__(self, endpoint: str, credentials: dict[str, str]) -> None:
        session = boto3.Session(
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            region_name=credentials["AWS_DEFAULT_REGION"],
        )
        make: Any = session.client
        self.stacks = make("cloudformation", endpoint_url=endpoint)
        self.functions = make("lambda", endpoint_url=endpoint)
        self.queues = make("sqs", endpoint_url=endpoint)
        self.objects = make("s3", endpoint_url=endpoint)


@dataclass
class Told:
    """What happened on the way."""

    sent: int = 0
    invocations: int = 0
    killed: int = 0
    repeated: int = 0
    named: int = 0
    """Items in partial responses."""
    known: int = 0
    rows: int = 0
    failures: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "dist"
    request = BuildRequest(
        model_uri=str(models.folder("lightgbm_booster")),
        out_dir=out,
        rows=20,
        front=Front.NONE,
        events=("sqs",),
        output_to="s3://answers/out",
        once=True,
    )
    build(request, MlflowRegistry(None, None))
    return out


@contextlib.contextmanager
def running(
    services: Services, function: str, endpoint: str, credentials: dict[str, str], base: Path
) -> Iterator[Emulator]:
    """The deployed function: its own bytes, runtime, variables and limits."""
    found = services.functions.get_function(FunctionName=function)["Configuration"]
    (bucket,) = [
        b["Name"]
        for b in services.objects.list_buckets()["Buckets"]
        if b["Name"].startswith("aws-sam-cli-managed")
    ]
    keys = services.objects.list_objects_v2(Bucket=bucket)["Contents"]
    (key,) = [item["Key"] for item in keys if not item["Key"].endswith(".template")]
    code = services.objects.get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        archive.extractall(base)
    with Emulator(
        base,
        interpreter=interpreters.find(found["Runtime"].removeprefix("python")),
        memory_mb=found["MemorySize"],
        timeout_seconds=found["Timeout"],
        env={
            **found["Environment"]["Variables"],
            **credentials,
            "AWS_REGION": credentials["AWS_DEFAULT_REGION"],
            "AWS_ENDPOINT_URL": endpoint,
        },
        provided=(f"botocore=={version('botocore')}",),
    ) as emulator:
        yield emulator


def row(number: int, example: dict[str, Any]) -> dict[str, float]:
    return {name: float(number % 50) / 10 + place for place, name in enumerate(example["columns"])}


def poison(number: int, good: dict[str, float]) -> str:
    kinds = ("{not JSON", json.dumps({"other": 1}), json.dumps(dict.fromkeys(good, "text")), "[]")
    return kinds[number // POISON_EVERY % len(kinds)]


def event(messages: list[dict[str, Any]], arn: str) -> bytes:
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": arn,
            "awsRegion": "us-east-1",
        }
        for message in messages
    ]
    return json.dumps({"Records": records}).encode()


def received(services: Services, url: str, most: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < most:
        batch = services.queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        )
        if not batch:
            break
        found += batch
    return found


def deliver(emulator: Emulator, payload: bytes, told: Told, dice: random.Random) -> set[str] | None:
    """One invocation: the items that must come again, or None where it failed whole."""
    told.invocations += 1
    killer: threading.Timer | None = None
    if told.invocations % KILL_EVERY == 2:
        told.killed += 1
        pid = emulator._function_pid()

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError, TypeError):
                os.kill(pid, signal.SIGKILL)  # type: ignore[arg-type]

        killer = threading.Timer(dice.uniform(0, 2), kill)
        killer.start()
    answer = emulator.invoke(payload)
    if killer is not None:
        killer.join()
    if answer.status != 200:
        told.failures["process ended"] += 1
        return None
    try:
        value = json.loads(answer.body)
    except ValueError:
        told.failures["timed out"] += 1
        return None
    if "batchItemFailures" not in value:
        told.failures[value.get("errorType", "?")] += 1
        return None
    return {item["itemIdentifier"] for item in value["batchItemFailures"]}


def asked(emulator: Emulator, request: dict[str, Any]) -> Any:
    """A direct invoke; a start beyond the timeout, on a busy machine, is tried again."""
    for _ in range(5):
        with contextlib.suppress(ValueError):
            return json.loads(emulator.invoke(json.dumps(request).encode()).body)
    pytest.fail(f"the function does not start: {emulator.log()[-2000:]}")


def drain(
    services: Services, emulator: Emulator, url: str, arn: str, told: Told, dice: random.Random
) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        messages = received(services, url, BATCH)
        if not messages:
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            left = services.queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)
            if not sum(map(int, left["Attributes"].values())):
                return
            time.sleep(0.3)
            continue
        again = deliver(emulator, event(messages, arn), told, dice)
        if again is None:
            continue
        told.named += len(again)
        done = [message for message in messages if message["MessageId"] not in again]
        for start in range(0, len(done), 10):
            entries = [
                {"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]}
                for i, message in enumerate(done[start : start + 10])
            ]
            services.queues.delete_message_batch(QueueUrl=url, Entries=entries)
        twice = [message for message in done if dice.random() < REPEATED]
        if twice:
            told.repeated += len(twice)
            deliver(emulator, event(twice, arn), told, dice)
    pytest.fail(f"the queue is not empty after {PATIENCE_SECONDS} s: {told}")


def buried(services: Services, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while batch := services.queues.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        found += batch
        for message in batch:
            services.queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_every_record_is_answered_once_or_buried(
    artifact: Path,
    tmp_path: Path,
    sam_in: Sam,
    endpoint: str,
    credentials: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    services, dice, told = Services(endpoint, credentials), random.Random(7), Told()
    services.objects.create_bucket(Bucket="answers")
    example = json.loads((artifact / "function/model/serving_input_example.json").read_text())
    split = example["dataframe_split"]
    parameters = (
        f"QueueVisibilitySeconds={VISIBILITY_SECONDS}",
        f"TimeoutSeconds={TIMEOUT_SECONDS}",
    )

    sam_in(artifact, "validate", "--lint")
    sam_in(
        artifact, "deploy", "--stack-name", "events", "--no-confirm-changeset",
        "--parameter-overrides", *parameters,
    )  # fmt: skip

    (stack,) = services.stacks.describe_stacks(StackName="events")["Stacks"]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    url, failures = outputs["QueueUrl"], outputs["FailuresQueueUrl"]
    (trigger,) = services.functions.list_event_source_mappings()["EventSourceMappings"]
    assert trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    arn = trigger["EventSourceArn"]
    services.functions.update_event_source_mapping(UUID=trigger["UUID"], Enabled=False)

    poisoned: set[str] = set()
    good: dict[str, int] = {}
    for start in range(0, RECORDS, 10):
        entries = []
        for number in range(start, min(start + 10, RECORDS)):
            bad = number % POISON_EVERY == POISON_EVERY - 1
            features = row(number, split)
            body = poison(number, features) if bad else json.dumps(features)
            entries.append({"Id": str(number), "MessageBody": body})
        answer = services.queues.send_message_batch(QueueUrl=url, Entries=entries)
        for sent in answer["Successful"]:
            number = int(sent["Id"])
            if number % POISON_EVERY == POISON_EVERY - 1:
                poisoned.add(sent["MessageId"])
            else:
                good[sent["MessageId"]] = number
    told.sent = len(poisoned) + len(good)
    assert told.sent == RECORDS

    base = tmp_path / "deployed"
    with running(services, outputs["FunctionName"], endpoint, credentials, base) as emulator:
        distinct = [row(number, split) for number in range(50)]
        expected = asked(emulator, {"dataframe_records": distinct})["predictions"]
        drain(services, emulator, url, arn, told, dice)
        for line in emulator.log().splitlines():
            if "RecordsKnown" in line:
                metrics = json.loads(line)
                told.known += int(metrics["RecordsKnown"][0])
                told.rows += int(metrics["Rows"][0])

    answers: dict[str, Any] = {}
    pages = services.objects.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket="answers", Prefix="out/sqs/"):
        for item in page.get("Contents", ()):
            body = services.objects.get_object(Bucket="answers", Key=item["Key"])["Body"].read()
            answers[json.loads(body)["id"]] = json.loads(body)["predictions"]
    graves = buried(services, failures)
    names = Counter(grave["MessageAttributes"]["record"]["StringValue"] for grave in graves)
    with capsys.disabled():
        more = {
            "answers": len(answers),
            "buried": len(names),
            "buried twice": len(graves) - len(names),
        }
        print(f"\n{told} {more}")  # noqa: T201 - the counts are what the run is for

    assert answers.keys() == good.keys()
    wrong = [m for m, number in good.items() if answers[m] != [expected[number % 50]]]
    assert wrong == []
    assert names.keys() == poisoned
    assert all(grave["MessageAttributes"]["error_message"]["StringValue"] for grave in graves)
    assert told.killed > 0
    assert told.repeated > 0
    # what is scored twice is at most what was in a process when it was killed
    assert told.rows <= len(good) + BATCH * told.killed
