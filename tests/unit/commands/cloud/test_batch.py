"""Batches: the machine is valid; it is started, watched and summed up from here."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from packager.commands.cloud.batch import Order, run_batch
from packager.errors import BatchError, CloudError, ConfigurationError, ModelFormatError
from packager.pipeline.emit._state_machine import FOLDER, READERS, definition
from packager.system import resources
from tests import sam

ARN = "arn:aws:lambda:us-east-1:123456789012:function:churn:live"
MACHINE: Any = definition(ARN, "aws")


def linted(machine: dict[str, Any]) -> list[str]:
    """By cfn-lint's schema of the language."""
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/r", "Definition": machine}
    for state in machine["States"].values():
        state.pop("ResultWriter", None)  # which that schema takes for text
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    return sam.lint(json.dumps({"Resources": {"Machine": resource}}))


def maps() -> dict[str, Any]:
    return {name: state for name, state in MACHINE["States"].items() if state["Type"] == "Map"}


def test_the_machine_is_valid() -> None:
    broken = copy.deepcopy(MACHINE)
    broken["States"]["Choose"]["Choices"] = "none"

    assert linted(copy.deepcopy(MACHINE)) == []
    assert [line.partition(":")[0] for line in linted(broken)] == ["E3601"]


def test_every_form_has_its_map_and_each_state_is_reached() -> None:
    chosen = {choice["Next"] for choice in MACHINE["States"]["Choose"]["Choices"]}
    assert chosen == set(maps())
    assert len(chosen) == len(READERS) + 1
    assert set(MACHINE["States"]) == chosen | {"Choose", "Unknown"}


def test_every_map_is_bounded_retried_and_written() -> None:
    for state in maps().values():
        assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
        assert state["MaxConcurrencyPath"] == "$.concurrency"
        assert state["ToleratedFailurePercentagePath"] == "$.tolerated_percentage"
        assert state["ResultWriter"]["Parameters"]["Prefix.$"] == "$.output.prefix"
        (retry,) = state["ItemProcessor"]["States"]["Score"]["Retry"]
        assert retry["JitterStrategy"] == "FULL"
        assert "BadRequestError" not in retry["ErrorEquals"]
    rows = [state for state in maps().values() if "ItemBatcher" in state]
    assert len(rows) == len(READERS)


ORDERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "s3://data/in/a.CSV",
        "s3://answers/run 1",
        {
            "format": "csv",
            "input": {"bucket": "data", "key": "in/a.CSV"},
            "output": {"bucket": "answers", "prefix": "run 1/"},
        },
    ),
    (
        "s3://data/in/",
        "s3://data/out/",
        {
            "format": FOLDER,
            "input": {"bucket": "data", "key": "in/"},
            "output": {"bucket": "data", "prefix": "out/"},
        },
    ),
    (
        "s3://data",
        "s3://answers",
        {
            "format": FOLDER,
            "input": {"bucket": "data", "key": ""},
            "output": {"bucket": "answers", "prefix": ""},
        },
    ),
)


@pytest.mark.parametrize(("source", "target", "sent"), ORDERS)
def test_an_order_is_an_execution_s_input(source: str, target: str, sent: dict[str, Any]) -> None:
    found = Order(source=source, target=target, concurrency=7, batch=9).input()
    assert found == {**sent, "concurrency": 7, "batch": 9, "tolerated_percentage": 0.0}


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("data/in.csv", "s3://answers", "not an S3 address"),
        ("s3://data/in.xlsx", "s3://answers", "must end with one of .csv"),
        ("s3://data/in/", "s3://data/in/out", "would score these answers"),
        ("s3://data", "s3://data/out", "would score these answers"),
    ],
)
def test_what_cannot_be_meant_is_refused(source: str, target: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Order(source=source, target=target).input()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


class States:
    """Step Functions, which answers as it is told to."""

    def __init__(self, status: str) -> None:
        self.started: dict[str, Any] = {}
        self._answers = iter(["RUNNING", "RUNNING", status])
        self._done = iter([0, 2, 3, 3])

    def start_execution(self, **given: Any) -> dict[str, str]:
        self.started = given
        return {"executionArn": "arn:execution"}

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        output = {"ResultWriterDetails": {"Bucket": "answers", "Key": "run/manifest.json"}}
        return {"status": next(self._answers), "output": json.dumps(output), "cause": "too many"}

    def list_map_runs(self, **_: Any) -> dict[str, Any]:
        return {"mapRuns": [{"mapRunArn": "arn:map"}]}

    def describe_map_run(self, **_: Any) -> dict[str, Any]:
        return {"itemCounts": {"total": 4, "succeeded": next(self._done), "failed": 1}}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "report.json").write_text(
        json.dumps({"target": {"name": "aws-lambda", "architecture": "x86_64"}, "memory_mb": 512}),
        encoding="utf-8",
    )
    (tmp_path / "samconfig.toml").write_text(
        '[default.global.parameters]\nstack_name = "churn"\n', encoding="utf-8"
    )
    return tmp_path


def deployed(outputs: dict[str, Any]) -> None:
    template = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
    boto3.client("cloudformation").create_stack(
        StackName="churn", TemplateBody=json.dumps(template)
    )


def clients(states: States) -> Any:
    def make(service: str) -> Any:
        found: Any = boto3.client
        return states if service == "stepfunctions" else found(service)

    return make


ORDER = Order(source="s3://data/in.csv", target="s3://answers/run")


def test_a_batch_is_started_watched_and_summed_up(
    aws: None, built: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deployed({"BatchMachineArn": {"Value": "arn:machine"}})
    boto3.client("s3").create_bucket(Bucket="answers")
    manifest = {
        "DestinationBucket": "answers",
        "ResultFiles": {"SUCCEEDED": [{"Key": "run/SUCCEEDED_0.json"}], "FAILED": []},
    }
    boto3.client("s3").put_object(
        Bucket="answers", Key="run/manifest.json", Body=json.dumps(manifest)
    )
    states = States("SUCCEEDED")

    with caplog.at_level(logging.INFO, "packager"):
        found = run_batch(built, ORDER, poll_seconds=0, clients=clients(states))

    assert states.started["stateMachineArn"] == "arn:machine"
    assert json.loads(states.started["input"]) == ORDER.input()
    assert "2 of 4 items, 1 failed" in caplog.text
    assert (found["status"], found["items"]["succeeded"]) == ("SUCCEEDED", 3)
    assert found["results"] == {"SUCCEEDED": ["s3://answers/run/SUCCEEDED_0.json"]}


def test_a_batch_that_fails_says_why(aws: None, built: Path) -> None:
    deployed({"BatchMachineArn": {"Value": "arn:machine"}})
    with pytest.raises(BatchError, match="The batch failed: too many"):
        run_batch(built, ORDER, poll_seconds=0, clients=clients(States("FAILED")))


def test_a_stack_without_a_machine_is_told_so(aws: None, built: Path) -> None:
    deployed({"Other": {"Value": "x"}})
    with pytest.raises(ConfigurationError, match="Build with --batch"):
        run_batch(built, ORDER, clients=clients(States("FAILED")))


def test_a_stack_that_is_not_there_is_named(aws: None, built: Path) -> None:
    with pytest.raises(CloudError, match="There is no stack"):
        run_batch(built, ORDER, clients=clients(States("FAILED")))


def test_a_folder_that_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="is not an artifact"):
        run_batch(tmp_path, ORDER)


def test_the_emitted_configuration_names_the_stack() -> None:
    text = (resources.TEMPLATES / "aws_lambda" / "samconfig.toml.j2").read_text(encoding="utf-8")
    assert "[default.global.parameters]" in text
    assert "stack_name" in text
