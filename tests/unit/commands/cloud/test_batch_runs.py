"""The machine runs in moto's interpreter of the language, with the handlers behind its tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda.models import LambdaFunction

from handlers import aws_clients
from handlers.events.event_processor import EventProcessor
from packager.commands.cloud.batch import Order
from packager.pipeline.emit._state_machine import definition
from tests.handlers.events.test_events import Context
from tests.handlers.scorers import scorer
from tests.handlers.scoring.test_together import POISON, Doubling
from tests.machines import equivalent

ROLE = "arn:aws:iam::123456789012:role/r"
SECONDS = 60


class Failing(Doubling):
    """Fails the first call that is made of it, as a model that is short of memory does."""

    def predict(self, data: Any, params: Any) -> Any:
        if not self.calls:
            self.calls.append(0)
            raise MemoryError
        return super().predict(data, params)


@pytest.fixture
def model() -> Doubling:
    return Failing()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, model: Doubling) -> Iterator[None]:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    def invoke(_: Any, event: Any = None) -> tuple[str, bool, str]:
        inbox = EventProcessor.read(["files", "stepfunctions"], scorer(model), {})
        asked = json.loads(event) if isinstance(event, str | bytes) else event
        source = inbox.find_source(asked)
        assert source is not None, asked
        try:
            return json.dumps(inbox.answer(source, asked, Context())[0]), False, ""
        except Exception as error:  # noqa: BLE001 - as the runtime does
            kind = type(error).__name__
            return json.dumps({"errorType": kind, "errorMessage": str(error)}), True, ""

    monkeypatch.setattr(LambdaFunction, "_invoke_lambda", invoke)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        aws_clients.client.cache_clear()
        aws_clients._session.cache_clear()
        for bucket in ("data", "answers"):
            boto3.client("s3").create_bucket(Bucket=bucket)
        yield
    aws_clients.client.cache_clear()


def ran(order: Order) -> tuple[dict[str, Any], dict[str, int]]:
    roles = boto3.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = roles.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    function = boto3.client("lambda").create_function(
        FunctionName="churn",
        Runtime="python3.13",
        Role=role,
        Handler="h.h",
        Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
    )["FunctionArn"]
    states = boto3.client("stepfunctions")
    machine = states.create_state_machine(
        name="churn-batch",
        definition=json.dumps(equivalent(definition(function, "aws"), order.input())),
        roleArn=role,
    )["stateMachineArn"]
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(order.input()))[
        "executionArn"
    ]
    deadline = time.monotonic() + SECONDS
    while (told := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (run,) = states.list_map_runs(executionArn=arn)["mapRuns"] or [None]
    counts = states.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"] if run else {}
    return dict(told), dict(counts)


def put(key: str, text: str) -> None:
    boto3.client("s3").put_object(Bucket="data", Key=key, Body=text.encode())


def read(key: str) -> Any:
    return boto3.client("s3").get_object(Bucket="answers", Key=key)["Body"].read().decode()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("in/a.csv", f'x,kind\n1.5,a\noops,a\n{POISON},a\n4,"a, b"\n'),
        (
            "in/a.json",
            json.dumps(
                [{"x": x, "kind": "a"} for x in (1.5,)]
                + [{"x": "oops", "kind": "a"}, {"x": POISON, "kind": "a"}]
                + [{"x": 4, "kind": "a, b"}]
            ),
        ),
    ],
)
def test_the_rows_of_a_file_are_scored_and_answered_in_their_order(key: str, text: str) -> None:
    put(key, text)

    told, counts = ran(Order(source=f"s3://data/{key}", target="s3://answers/run", concurrency=2))

    assert told["status"] == "SUCCEEDED", told
    assert (counts["total"], counts["succeeded"], counts["failed"]) == (4, 4, 0)
    first, second, third, fourth = (answer for (answer,) in json.loads(told["output"]))
    assert first == {"predictions": [3.0]}
    assert second["error_code"] == third["error_code"] == "BAD_REQUEST"
    assert fourth == {"predictions": [8.0]}


def test_the_files_of_a_folder_are_answered_by_files(model: Doubling) -> None:
    for name in ("in/a.csv", "in/deep er/b.csv"):
        put(name, "x,kind\n1,a\n2,a\n")
    put("in/", "")
    put("other.csv", "x,kind\n1,a\n")

    told, counts = ran(Order(source="s3://data/in/", target="s3://answers/run"))

    assert told["status"] == "SUCCEEDED", told
    assert (counts["total"], counts["failed"]) == (3, 0)
    listed = boto3.client("s3").list_objects_v2(Bucket="answers")["Contents"]
    keys = {item["Key"] for item in listed if item["Key"].endswith(".jsonl")}
    assert keys == {"run/in/a.csv.jsonl", "run/in/deep er/b.csv.jsonl"}
    assert read("run/in/a.csv.jsonl") == "2.0\n4.0\n"


def test_a_folder_with_a_bad_file_fails_but_for_what_is_tolerated() -> None:
    put("in/a.csv", "x,kind\n1,a\n")
    put("in/b.xlsx", "no such file")

    told, counts = ran(
        Order(source="s3://data/in/", target="s3://answers/run", tolerated_percentage=50)
    )

    assert (told["status"], counts["failed"]) == ("SUCCEEDED", 1)
    assert read("run/in/a.csv.jsonl") == "2.0\n"


@pytest.mark.few(0)
def test_another_format_is_refused() -> None:
    order = Order(source="s3://data/a.csv", target="s3://answers")
    sent = {**order.input(), "format": "xml"}

    class Odd(Order):
        def input(self) -> dict[str, Any]:
            return sent

    told, _ = ran(Odd(source="s3://data/a.csv", target="s3://answers"))

    assert (told["status"], told["error"]) == ("FAILED", "UnknownFormat")
