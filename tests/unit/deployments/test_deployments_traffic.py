"""`mlflow deployments` lists versions, divides requests between them, and goes back."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from mlflow.deployments import cli
from mlflow.exceptions import MlflowException
from moto import mock_aws

from packager.deployments import AwsLambdaDeploymentClient, _aws, run_local
from packager.deployments._aws import Cloud
from tests.unit.commands.cloud.test_deployed import _ROLE, _zip_of
from tests.unit.deployments import deploying

ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:churn:live"
TAGS = {"mlflow:deployment": "churn"}


class _World:
    """Three versions, of which the alias runs the third, and the stack that names it."""

    def __init__(self) -> None:
        self.functions: Any = boto3.client("lambda")
        _, self.stacks, objects, _ = deploying.cloud()
        self.cloud = Cloud(
            region="us-east-1", stacks=self.stacks, functions=self.functions, objects=objects
        )
        self.functions.create_function(
            FunctionName="churn", Role=_ROLE, Runtime="python3.13", Handler="app.handler",
            Code={"ZipFile": _zip_of("first = 1")}, Publish=True,
        )  # fmt: skip
        for text in ("second = 2", "third = 3"):
            self.functions.update_function_code(
                FunctionName="churn", ZipFile=_zip_of(text), Publish=True
            )
        self.functions.create_alias(FunctionName="churn", Name="live", FunctionVersion="3")
        self.set_stack()

    def set_stack(self, **known: Any) -> None:
        outputs = known.pop("outputs", {"AliasArn": ALIAS})
        self.stacks.there["churn"] = deploying.stack("churn", tags=TAGS, outputs=outputs, **known)

    def read(self) -> tuple[str, dict[str, float]]:
        found = self.functions.get_alias(FunctionName="churn", Name="live")
        routing = found.get("RoutingConfig") or {}
        return found["FunctionVersion"], routing.get("AdditionalVersionWeights", {})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}", Path="/")
        made = _World()
        monkeypatch.setattr(_aws, "connect", lambda _: made.cloud)
        yield made


def _update(**config: object) -> dict[str, object]:
    found: dict[str, object] = AwsLambdaDeploymentClient("aws-lambda").update_deployment(
        "churn", config=config
    )
    return {name: value for name, value in found.items() if name.startswith("version ")}


def test_versions_are_listed_with_their_share(world: _World) -> None:
    found = AwsLambdaDeploymentClient("aws-lambda").get_deployment("churn")

    assert [found[f"version {each}"] for each in (3, 2, 1)] == ["100 %", "0 %", "0 %"]
    assert world.read() == ("3", {})


def test_requests_are_divided_and_taken_back(world: _World) -> None:
    assert _update(traffic="2=10") == {
        "version 3": "90 %", "version 2": "10 %", "version 1": "0 %"
    }  # fmt: skip
    assert world.read() == ("3", {"2": 0.1})
    assert _update(traffic="2=50,3=50")["version 2"] == "50 %"
    assert _update(rollback=True)["version 2"] == "100 %"
    assert _update(rollback="3")["version 3"] == "100 %"
    assert _update(traffic="2=90")["version 3"] == "10 %"
    assert _update(rollback=True)["version 2"] == "100 %"
    assert _update(rollback="true")["version 1"] == "100 %"
    assert world.read() == ("1", {})
    assert "create_change_set" not in world.stacks.operations()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"traffic": "9=10"}, "no version 9. Published: 1, 2, 3"),
        ({"traffic": "2=101"}, "no share of the requests"),
        ({"traffic": "2=-1"}, "no share of the requests"),
        ({"traffic": "2"}, "Write VERSION=PERCENT"),
        ({"traffic": ""}, "Write VERSION=PERCENT"),
        ({"traffic": "2=10,2=20"}, "has two shares"),
        ({"traffic": "1=20,2=20"}, "between two versions, not 3"),
        ({"traffic": "3=10"}, "add up to 10, not to 100"),
        ({"rollback": "true"}, "several versions before 3: 1, 2"),
        ({"rollback": "9"}, "no version 9"),
        ({"rollback": "no"}, "write true, or the number of a version"),
        ({"rollback": "1", "traffic": "2=10"}, "leave one out"),
        ({"rollback": "1", "memory": 512}, "leave other settings out"),
        ({"traffic": "2=10", "bucket": "b"}, "leave other settings out"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_moves(
    config: dict[str, Any], said: str, world: _World
) -> None:
    with pytest.raises(MlflowException, match=said) as refused:
        _update(**config)

    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert refused.value.exit_code == 2
    assert world.read() == ("3", {})


def test_traffic_does_not_move_while_something_is_deployed(world: _World) -> None:
    client = AwsLambdaDeploymentClient("aws-lambda")
    moving = {"traffic": "2=10"}
    for call in (
        lambda: client.update_deployment("churn", "models:/churn/1", config=moving),
        lambda: client.create_deployment("other", "models:/churn/1", config=moving),
        lambda: run_local("churn", "models:/churn/1", config=moving),
    ):
        with pytest.raises(MlflowException, match=r"without a model \(-m\)"):
            call()
    world.set_stack(status="UPDATE_IN_PROGRESS")
    with pytest.raises(MlflowException, match="is being changed"):
        _update(**moving)
    assert world.read() == ("3", {})


def test_a_stack_without_an_alias_says_its_state(world: _World) -> None:
    world.set_stack(outputs={}, status="ROLLBACK_COMPLETE")

    with pytest.raises(MlflowException, match=r"no alias yet \(ROLLBACK_COMPLETE\)"):
        _update(rollback="1")
    assert "versions" not in AwsLambdaDeploymentClient("aws-lambda").get_deployment("churn")


def test_an_alias_that_was_deleted_is_told(world: _World) -> None:
    world.functions.delete_alias(FunctionName="churn", Name="live")

    with pytest.raises(MlflowException, match="Lambda has none"):
        _update(rollback="1")
    found = AwsLambdaDeploymentClient("aws-lambda").get_deployment("churn")
    assert str(found["versions"]).startswith("not known: ")


def test_the_command_line_moves_traffic_too(world: _World) -> None:
    argv = ["-t", "aws-lambda", "--name", "churn"]

    done = CliRunner().invoke(cli.commands, ["update", *argv, "-C", "traffic=2=10"])
    assert done.exit_code == 0, done.output
    assert world.read() == ("3", {"2": 0.1})
    told = CliRunner().invoke(cli.commands, ["get", *argv]).output
    assert "version 2: 10 %" in told
    assert CliRunner().invoke(cli.commands, ["update", *argv, "-C", "rollback=9"]).exit_code == 2
    assert "churn" in CliRunner().invoke(cli.commands, ["list", "-t", "aws-lambda"]).output
    assert json.dumps(world.read()) == '["3", {"2": 0.1}]'
