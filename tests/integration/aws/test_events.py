"""Records through queues and buckets to the bytes that were deployed: none lost, each answered.

The template is deployed by the SAM CLI; what it made in moto (queues, table, role, triggers, the
function's variables) is what the run uses. The triggers of queues are played by Lambda's rules
(see chaos.py), with the function under the real runtime client and emulator.

PACKAGER_COUNTS names a file that gets a line of what came of each run; see records.py for how many
records there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from packager.commands.cloud.batch import Order, run_batch
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.types import Engine, Front, make_request
from tests import models
from tests.integration.aws.accounts import VISIBILITY_SECONDS, Chaos
from tests.integration.aws.conftest import Sam
from tests.integration.aws.records import ANSWERS, DISTINCT, INCOMING, ROWS_OF_AN_OBJECT, csv, row
from tests.integration.aws.services import Services, running
from tests.machines import equivalent

pytestmark = pytest.mark.slow

BATCH = 10
TIMEOUT_SECONDS = 15
"""So long does the claim of a process that was killed hold."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "dist"
    request = make_request(
        model_uri=str(models.folder("lightgbm_booster")),
        out_dir=out,
        engine=Engine.NATIVE,
        rows=20,
        front=Front.NONE,
        events=("sqs", "s3", "eventbridge", "kinesis", "files", "stepfunctions"),
        output_to=f"s3://{ANSWERS}/out",
        once=True,
        batch=True,
    )
    build(request, MlflowRegistry(None, None))
    return out


@pytest.fixture(scope="module")
def services(endpoint: str, credentials: dict[str, str]) -> Services:
    made = Services(endpoint, credentials)
    for bucket in (INCOMING, ANSWERS):
        made.objects.create_bucket(Bucket=bucket)
        made.objects.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    return made


@pytest.fixture(scope="module")
def deployed(artifact: Path, sam_in: Sam, services: Services) -> Callable[..., dict[str, str]]:
    """`deployed(stack, NAME=VALUE)`: the outputs of a stack with these parameters.

    Its stream has its name, and so has the source of its events.
    """

    def deploy(stack: str, **parameters: str) -> dict[str, str]:
        streams = services.client("kinesis")
        streams.create_stream(StreamName=stack, ShardCount=1)
        stream = streams.describe_stream_summary(StreamName=stack)
        given = {
            "InputBucket": INCOMING,
            "StreamArn": stream["StreamDescriptionSummary"]["StreamARN"],
            "EventSource": stack,
            "EventDetailType": "order",
            "TimeoutSeconds": str(TIMEOUT_SECONDS),
            **parameters,
        }
        pairs = [f"{name}={value}" for name, value in given.items()]
        sam_in(
            artifact, "deploy", "--stack-name", stack, "--no-confirm-changeset",
            "--parameter-overrides", *pairs,
        )  # fmt: skip
        return services.outputs(stack)

    return deploy


@pytest.fixture(scope="module")
def columns(artifact: Path) -> list[str]:
    text = (artifact / "function/model/serving_input_example.json").read_text()
    names: list[str] = json.loads(text)["dataframe_split"]["columns"]
    return names


def tell(counts: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{counts}")  # noqa: T201 - the counts are what the run is for
    if file := os.environ.get("PACKAGER_COUNTS"):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(counts) + "\n")


def test_every_record_is_answered_once_or_buried(
    artifact: Path,
    tmp_path: Path,
    deployed: Callable[..., dict[str, str]],
    sam_in: Sam,
    services: Services,
    columns: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sam_in(artifact, "validate", "--lint")
    outputs = deployed(
        "chaos", ObjectsThrough="queue", QueueVisibilitySeconds=str(VISIBILITY_SECONDS)
    )
    stack = Chaos(services, outputs, columns, BATCH)

    with running(services, outputs["FunctionName"], tmp_path / "with") as emulator:
        told = stack.run(emulator, "out", once=True)
    tell(told, capsys)
    with running(
        services, outputs["FunctionName"], tmp_path / "without",
        PACKAGER_ONCE_TABLE="", PACKAGER_OUTPUT=f"s3://{ANSWERS}/again",
    ) as emulator:  # fmt: skip
        again = stack.run(emulator, "again", once=False)
    tell(again, capsys)

    for counts in (told, again):
        assert [counts[door]["lost"] for door in ("sqs", "s3")] == [0, 0]
        assert [counts[door]["wrong"] for door in ("sqs", "s3")] == [0, 0]
        assert [counts[door]["not buried"] for door in ("sqs", "s3")] == [0, 0]
        assert [counts[door]["buried without cause"] for door in ("sqs", "s3")] == [0, 0]
        assert sum(counts[door]["killed"] for door in ("sqs", "s3")) > 0
        assert sum(counts[door]["repeated"] for door in ("sqs", "s3")) > 0
    assert [told[door]["answered again"] for door in ("sqs", "s3")] == [0, 0]
    # without a table a file may be written again by what ends between the answer and its word
    assert again["s3"]["answered again"] <= again["s3"]["failures"]["process ended"]
    # a file's answer tells by itself what it is the answer to, a message's does not
    assert again["sqs"]["answered again"] >= again["sqs"]["repeated"] - again["sqs"]["buried again"]
    assert told["known"] > 0
    assert again["known"] == 0


@pytest.fixture(scope="module")
def doors(deployed: Callable[..., dict[str, str]]) -> dict[str, str]:
    return deployed("doors", ObjectsThrough="eventbridge")


@pytest.fixture(scope="module")
def expected(doors: dict[str, str], services: Services, columns: list[str]) -> list[float]:
    """The deployed function's answers to a direct invoke."""
    rows = [row(number, columns) for number in range(DISTINCT)]
    payload = json.dumps({"dataframe_records": rows}).encode()
    answer = services.functions.invoke(FunctionName=doors["AliasArn"], Payload=payload)
    predictions: list[float] = json.loads(answer["Payload"].read())["predictions"]
    return predictions


def answered(services: Services, folder: str) -> list[Any]:
    """Predictions in the order in which they were written."""
    found = sorted(services.versions(ANSWERS, folder), key=lambda each: each["LastModified"])
    return [json.loads(services.read(ANSWERS, each["Key"]))["predictions"] for each in found]


def sources_of(services: Services, url: str) -> list[str]:
    graves = services.emptied(url)
    return [grave["MessageAttributes"]["source"]["StringValue"] for grave in graves]


def test_events_of_a_bus_are_answered_where_the_rule_matches(
    doors: dict[str, str], services: Services, columns: list[str], expected: list[float]
) -> None:
    good = {"Source": "doors", "DetailType": "order", "Detail": json.dumps(row(0, columns))}
    others = [{**good, "Source": "other"}, {**good, "DetailType": "other"}]

    services.client("events").put_events(
        Entries=[good, *others, {**good, "Detail": '{"other": 1}'}]
    )

    assert answered(services, "out/eventbridge/") == [[expected[0]]]
    assert sources_of(services, doors["FailuresQueueUrl"]) == ["eventbridge"]


def test_records_of_a_stream_are_answered_in_their_order(
    doors: dict[str, str], services: Services, columns: list[str], expected: list[float]
) -> None:
    bodies = [json.dumps(row(1, columns)), "{no", json.dumps(row(2, columns))]

    for body in bodies:
        services.client("kinesis").put_record(
            StreamName="doors", Data=body.encode(), PartitionKey="a"
        )

    assert answered(services, "out/kinesis/") == [[expected[1]], [expected[2]]]
    assert sources_of(services, doors["FailuresQueueUrl"]) == ["kinesis"]


def test_objects_of_a_bucket_are_answered_through_the_bus(
    doors: dict[str, str], services: Services, columns: list[str], expected: list[float]
) -> None:
    services.objects.put_bucket_notification_configuration(
        Bucket=INCOMING, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    key = "größe + 1/a b.csv"

    services.objects.put_object(Bucket=INCOMING, Key=key, Body=csv(5, columns).encode())
    services.objects.put_object(Bucket=INCOMING, Key="a.xlsx", Body=b"none")

    lines = services.read(ANSWERS, f"out/{key}.jsonl").splitlines()
    assert list(map(json.loads, lines)) == expected[5 : 5 + ROWS_OF_AN_OBJECT]
    assert sources_of(services, doors["FailuresQueueUrl"]) == ["s3"]


class Batches:
    """The deployed state machine, in moto's interpreter; `packager batch` runs it."""

    def __init__(self, services: Services, artifact: Path, machine: str) -> None:
        self._services, self._artifact = services, artifact
        self._states = services.client("stepfunctions")
        found = self._states.describe_state_machine(stateMachineArn=machine)
        self._name, self._role = found["name"], found["roleArn"]
        self._definition = json.loads(found["definition"])
        # the interpreter knows none of what a stack made, and gives the same name the same address
        settings = {"stepfunctions": {"execute_state_machine": True}}
        httpx.post(f"{services.endpoint}/moto-api/config", json=settings).raise_for_status()

    def run(self, source: str, target: str) -> dict[str, Any]:
        order = Order(source=source, target=target, concurrency=2)
        definition = json.dumps(equivalent(self._definition, order.input()))
        made = self._states.create_state_machine(
            name=self._name, definition=definition, roleArn=self._role
        )
        try:
            return run_batch(
                self._artifact, order, stack="doors", poll_seconds=0.2,
                clients=self._services.client,
            )  # fmt: skip
        finally:
            self._states.delete_state_machine(stateMachineArn=made["stateMachineArn"])


@pytest.fixture(scope="module")
def batches(doors: dict[str, str], services: Services, artifact: Path) -> Batches:
    return Batches(services, artifact, doors["BatchMachineArn"])


def test_the_files_of_a_folder_are_answered_by_files(
    batches: Batches, services: Services, columns: list[str], expected: list[float]
) -> None:
    keys = {"in/1 a.csv": 1, "in/größe/2 + b.csv": 7, "in/3.csv": 20}
    services.objects.create_bucket(Bucket="lake")
    for key, number in keys.items():
        services.objects.put_object(Bucket="lake", Key=key, Body=csv(number, columns).encode())

    summary = batches.run("s3://lake/in/", f"s3://{ANSWERS}/run-1")

    assert (summary["items"]["succeeded"], summary["items"]["failed"]) == (len(keys), 0)
    for key, number in keys.items():
        lines = services.read(ANSWERS, f"run-1/{key}.jsonl").splitlines()
        assert list(map(json.loads, lines)) == expected[number : number + ROWS_OF_AN_OBJECT]


def test_the_rows_of_a_file_are_answered(
    batches: Batches, services: Services, columns: list[str], expected: list[float]
) -> None:
    services.objects.create_bucket(Bucket="rows")
    services.objects.put_object(Bucket="rows", Key="a b.csv", Body=csv(4, columns).encode())

    summary = batches.run("s3://rows/a b.csv", f"s3://{ANSWERS}/run-2")

    assert (summary["items"]["succeeded"], summary["items"]["failed"]) == (ROWS_OF_AN_OBJECT, 0)
