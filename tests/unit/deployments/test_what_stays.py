"""Whatever ends a deployment by `mlflow deployments` says what stays of it, and the way back."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, TokenRetrievalError
from click.testing import CliRunner
from mlflow.deployments import cli
from mlflow.exceptions import MlflowException

from packager.deployments import AwsLambdaDeploymentClient, _aws
from tests.unit.deployments import deploying

REGION = "--region eu-west-1"
EXPIRED = deploying.refusal("ExpiredToken", "The security token is expired", "DescribeStacks")
FAULTS = {
    "expired": (EXPIRED, "ExpiredToken"),
    "logged out": (TokenRetrievalError(provider="sso", error_msg="ended"), "Say who you are"),
    "no network": (EndpointConnectionError(endpoint_url="https://x"), "AWS did not answer"),
}
STAGES = {
    "change_set_create_complete": "Nothing was deployed.",
    "execute": "was begun, and AWS goes on with it",
    "stack_create_complete": "was begun, and AWS goes on with it",
    "stack_update_complete": "was begun, and AWS goes on with it",
}


class _Breaking(deploying.Stacks):
    """Breaks off at a waiter, or where a change set is executed."""

    at = ""
    fault: BaseException | None = None
    broken = False

    def _break_at(self, place: str) -> None:
        if place == self.at and self.fault is not None:
            self.broken = True
            raise self.fault

    def get_waiter(self, name: str) -> deploying.Waiter:
        self._break_at(name)
        return super().get_waiter(name)

    def execute_change_set(self, **values: Any) -> None:
        self._break_at("execute")
        super().execute_change_set(**values)

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if self.at == "describe" and self.there:
            self._break_at("describe")
        return super().describe_stacks(StackName)


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> _Breaking:
    made, _, objects, functions = deploying.cloud()
    breaking = _Breaking()
    whole = _aws.Cloud(region=made.region, stacks=breaking, functions=functions, objects=objects)
    monkeypatch.setattr(_aws, "connect", lambda _: whole)
    return breaking


@pytest.fixture
def client() -> AwsLambdaDeploymentClient:
    return AwsLambdaDeploymentClient("aws-lambda")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(deploying.artifact(tmp_path))


def _change(client: AwsLambdaDeploymentClient, stacks: _Breaking, folder: str, kind: str) -> None:
    if kind == "create":
        client.create_deployment("churn", folder, config={"bucket": "b"})
        return
    _have_deployed(stacks)
    client.update_deployment("churn", config={"memory": 1024})


def _have_deployed(stacks: _Breaking) -> None:
    known: dict[str, Any] = {
        "tags": {"mlflow:deployment": "churn"},
        "parameters": {"MemorySizeMb": "512"},
    }
    stacks.there["churn"] = deploying.stack("churn", **known)
    stacks.defaults = {"MemorySizeMb": "512"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", STAGES)
def test_a_fault_on_the_way_says_what_stays(
    at: str, fault: str, client: AwsLambdaDeploymentClient, stacks: _Breaking, folder: str
) -> None:
    kind = "update" if at == "stack_update_complete" else "create"
    stacks.at, (stacks.fault, words) = at, FAULTS[fault]

    with pytest.raises(MlflowException) as caught:
        _change(client, stacks, folder, kind)

    said = str(caught.value)
    assert words in said
    assert STAGES[at] in said
    back = "cancel-update-stack" if kind == "update" else "delete-stack"
    assert f"aws cloudformation {back} --stack-name churn {REGION}" in said
    if at != "change_set_create_complete":
        assert f"describe-stack-events --stack-name churn {REGION}" in said


def test_credentials_that_end_with_the_wait_say_it_too(
    client: AwsLambdaDeploymentClient, stacks: _Breaking, folder: str
) -> None:
    """The waiter ends by itself, and the stack cannot be asked why."""
    stacks.fails, stacks.at, stacks.fault = "stack_create_complete", "describe", EXPIRED

    with pytest.raises(MlflowException, match="nobody knows yet how it ends") as caught:
        _change(client, stacks, folder, "create")

    assert "ExpiredToken" in str(caught.value)


def test_a_deployment_that_cannot_be_described_is_deployed(
    client: AwsLambdaDeploymentClient, stacks: _Breaking, folder: str
) -> None:
    stacks.at, stacks.fault = "describe", EXPIRED

    with pytest.raises(MlflowException, match="churn is deployed as you asked") as caught:
        _change(client, stacks, folder, "create")

    assert "mlflow deployments get -t aws-lambda --name churn" in str(caught.value)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)])
@pytest.mark.parametrize("at", [*STAGES, "stack_delete_complete"])
def test_an_interrupt_says_what_stays_before_click_says_aborted(
    at: str, end: BaseException, stacks: _Breaking, folder: str
) -> None:
    stacks.at, stacks.fault = at, end
    words = ["create", "-m", folder, "-C", "bucket=b"]
    if at == "stack_update_complete":
        _have_deployed(stacks)
        words = ["update", "-C", "memory=1024"]
    if at == "stack_delete_complete":
        _have_deployed(stacks)
        words = ["delete"]

    done = CliRunner().invoke(cli.commands, [*words, "-t", "aws-lambda", "--name", "churn"])

    assert done.exit_code != 0
    assert stacks.broken
    expected = STAGES.get(at, "may be being deleted, and AWS goes on")
    assert expected in " ".join(done.output.split())
    assert "aws cloudformation" in done.output


def test_a_termination_says_it_too(
    client: AwsLambdaDeploymentClient,
    stacks: _Breaking,
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wait(_: deploying.Waiter, **asked: Any) -> None:
        if "ChangeSetName" not in asked:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(deploying.Waiter, "wait", wait)

    with pytest.raises(SystemExit):
        _change(client, stacks, folder, "create")

    assert "delete-stack --stack-name churn" in caplog.text


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("create", "ROLLBACK_COMPLETE", "It is being removed"),
        ("create", "ROLLBACK_FAILED", "Remove it: `aws cloudformation delete-stack"),
        ("create", "CREATE_FAILED", "Remove it: `aws cloudformation delete-stack"),
        ("create", "DELETE_FAILED", "--deletion-mode FORCE_DELETE_STACK"),
        ("create", "CREATE_IN_PROGRESS", "`aws cloudformation delete-stack"),
        ("create", "ROLLBACK_IN_PROGRESS", "describe-stack-events"),
        ("create", "DELETE_IN_PROGRESS", "describe-stack-events"),
        ("update", "UPDATE_ROLLBACK_COMPLETE", "is back and answers"),
        ("update", "UPDATE_ROLLBACK_FAILED", "`aws cloudformation continue-update-rollback"),
        ("update", "UPDATE_FAILED", "`aws cloudformation rollback-stack"),
        ("update", "UPDATE_IN_PROGRESS", "`aws cloudformation cancel-update-stack"),
        ("update", "UPDATE_ROLLBACK_IN_PROGRESS", "describe-stack-events"),
        ("update", "DELETE_FAILED", "`aws cloudformation delete-stack"),
        ("update", "IMPORT_ROLLBACK_COMPLETE", "describe-stack-events"),
    ],
)
def test_each_state_of_a_failed_change_has_its_way_back(
    kind: str,
    status: str,
    words: str,
    client: AwsLambdaDeploymentClient,
    stacks: _Breaking,
    folder: str,
) -> None:
    stacks.fails, stacks.status_after = f"stack_{kind}_complete", status

    with pytest.raises(MlflowException) as caught:
        _change(client, stacks, folder, kind)

    said = str(caught.value)
    assert f"it is now {status}." in said
    assert words in said
    if "aws cloudformation" in said:
        assert f"--stack-name churn {REGION}" in said


def test_a_stack_that_somebody_deleted_meanwhile_leaves_nothing(
    client: AwsLambdaDeploymentClient, stacks: _Breaking, folder: str
) -> None:
    stacks.fails, stacks.status_after = "stack_create_complete", "DELETE_COMPLETE"

    with pytest.raises(MlflowException, match="nothing of it stays"):
        _change(client, stacks, folder, "create")
