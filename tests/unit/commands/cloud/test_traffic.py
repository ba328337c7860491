"""`packager versions`, `traffic` and `rollback`: what an alias runs, and what it is moved to.

Functions, versions and stacks are moto's. moto keeps no weights of an alias, so `_Weights` does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from packager.cli import app
from packager.commands.cloud import traffic
from packager.errors import CloudError, ConfigurationError, ModelFormatError
from tests.unit.commands.cloud.test_deployed import _build, _deploy, _zip_of

pytestmark = pytest.mark.usefixtures("aws")
_STACK = "mine"


class _Weights:
    """moto's client, with an alias that keeps its weights and its revision."""

    def __init__(self) -> None:
        self._client: Any = boto3.client("lambda")
        self.weights: dict[str, float] = {}
        self.revision = "1"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_alias(self, **asked: str) -> dict[str, Any]:
        return self._told(self._client.get_alias(**asked))

    def update_alias(self, **asked: Any) -> dict[str, Any]:
        if asked.pop("RevisionId") != self.revision:
            raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
        self.weights = asked.pop("RoutingConfig")["AdditionalVersionWeights"]
        self.revision += "1"
        return self._told(self._client.update_alias(**asked))

    def _told(self, found: dict[str, Any]) -> dict[str, Any]:
        routing = {"RoutingConfig": {"AdditionalVersionWeights": self.weights}}
        return found | {"RevisionId": self.revision} | (routing if self.weights else {})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return _build(tmp_path)


@pytest.fixture
def deployed(
    aws: None,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> _Weights:
    """Versions 1 to 3, of which the alias runs 3; 1 is the artifact's code."""
    _deploy(artifact, _STACK)
    functions = _Weights()
    for text in ("second = 2", "third = 3"):
        functions.update_function_code(FunctionName="churn", ZipFile=_zip_of(text), Publish=True)
    functions._client.update_alias(FunctionName="churn", Name="live", FunctionVersion="3")

    def make(service: str) -> Any:
        found: Any = boto3.client
        return functions if service == "lambda" else found(service)

    monkeypatch.setattr(traffic, "make_client", make)
    return functions


def _shares(artifact: Path) -> dict[str, float]:
    found = traffic.list_versions(artifact, stack=_STACK)
    return {row["version"]: row["percent"] for row in found["versions"]}


@pytest.mark.few(0)
@pytest.mark.usefixtures("deployed")
def test_versions_are_listed_newest_first_with_their_share(artifact: Path) -> None:
    found = traffic.list_versions(artifact, stack=_STACK)

    assert (found["function"], found["alias"], found["stack"]) == ("churn", "live", _STACK)
    assert [row["version"] for row in found["versions"]] == ["3", "2", "1"]
    assert [row["percent"] for row in found["versions"]] == [100, 0, 0]
    assert [row["this_artifact"] for row in found["versions"]] == [False, False, True]


@pytest.mark.few(1)
@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"2": 10}, {"3": 90, "2": 10, "1": 0}),
        ({"2": 12.5}, {"3": 87.5, "2": 12.5, "1": 0}),
        ({"2": 100}, {"3": 0, "2": 100, "1": 0}),
        ({"2": 0}, {"3": 100, "2": 0, "1": 0}),
        ({"1": 30, "2": 70}, {"3": 0, "2": 70, "1": 30}),
        ({"3": 40, "1": 60}, {"3": 40, "2": 0, "1": 60}),
    ],
)
def test_a_share_moves_and_the_rest_stays_where_it_was(
    artifact: Path, shares: dict[str, float], expected: dict[str, float]
) -> None:
    traffic.shift_traffic(artifact, shares, stack=_STACK)

    assert _shares(artifact) == expected


@pytest.mark.few(1)
@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"9": 10}, r"no version 9\. Published: 1, 2, 3"),
        ({"1": 30, "2": 80}, "add up to 110, not to 100"),
        ({"3": 40}, "add up to 40, not to 100"),
        ({"1": 20, "2": 20}, r"two versions, not 3 \(1, 2, 3\)"),
    ],
)
def test_shares_that_an_alias_cannot_have_change_nothing(
    artifact: Path, shares: dict[str, float], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        traffic.shift_traffic(artifact, shares, stack=_STACK)

    assert _shares(artifact) == {"3": 100, "2": 0, "1": 0}


@pytest.mark.usefixtures("deployed")
def test_a_rollback_takes_the_only_version_before(artifact: Path) -> None:
    traffic.roll_back(artifact, to="2", stack=_STACK)

    traffic.roll_back(artifact, stack=_STACK)

    assert _shares(artifact) == {"3": 0, "2": 0, "1": 100}


@pytest.mark.usefixtures("deployed")
def test_a_rollback_takes_none_of_several_by_itself(artifact: Path) -> None:
    """One of them may be a version whose rollout failed."""
    with pytest.raises(ConfigurationError, match=r"before 3: 1, 2\. .* with --to"):
        traffic.roll_back(artifact, stack=_STACK)

    assert _shares(artifact) == {"3": 100, "2": 0, "1": 0}


def test_a_rollback_of_a_rollout_stops_the_new_version(artifact: Path, deployed: _Weights) -> None:
    deployed._client.update_alias(FunctionName="churn", Name="live", FunctionVersion="2")
    deployed.weights = {"3": 0.1}

    traffic.roll_back(artifact, stack=_STACK)

    assert _shares(artifact) == {"3": 0, "2": 100, "1": 0}


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("shares", "kept"),
    [
        ({"2": 10}, "2"),
        ({"2": 90}, "2"),
        ({"3": 20, "1": 80}, "1"),
        ({"1": 30, "2": 70}, "1"),
        ({"1": 70, "2": 30}, "1"),
    ],
)
def test_a_rollback_after_shares_by_hand_keeps_the_version_that_was_published_first(
    artifact: Path, shares: dict[str, float], kept: str
) -> None:
    """Whichever of the two the alias itself names."""
    traffic.shift_traffic(artifact, shares, stack=_STACK)

    traffic.roll_back(artifact, stack=_STACK)

    assert _shares(artifact) == {"1": 0, "2": 0, "3": 0, kept: 100}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("Role", "arn:aws:iam::123456789012:role/other", "execution role"),
        ("DeadLetterConfig", {"TargetArn": "arn:aws:sqs:x"}, "dead-letter configuration"),
    ],
)
def test_versions_that_lambda_lets_share_nothing_are_refused_before_anything_moves(
    artifact: Path,
    deployed: _Weights,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    value: object,
    words: str,
) -> None:
    found = traffic._read_published(deployed, "churn")
    unlike = [{**each, field: value} if each["Version"] == "2" else each for each in found]
    monkeypatch.setattr(traffic, "_read_published", lambda *_: unlike)

    with pytest.raises(ConfigurationError, match=f"not have the same {words}: version 3 has"):
        traffic.shift_traffic(artifact, {"2": 10}, stack=_STACK)

    assert deployed.revision == "1"
    # one alone may be another's
    traffic.shift_traffic(artifact, {"2": 100}, stack=_STACK)
    assert _shares(artifact)["2"] == 100


def test_an_alias_with_provisioned_concurrency_is_told_so(
    artifact: Path, deployed: _Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "Alias with weights can not be used with Provisioned Concurrency"
    told: Any = {"Error": {"Code": "InvalidParameterValueException", "Message": message}}

    def refuse(**_: object) -> None:
        raise ClientError(told, "UpdateAlias")

    monkeypatch.setattr(deployed, "update_alias", refuse, raising=False)

    with pytest.raises(ConfigurationError, match="has provisioned concurrency") as refused:
        traffic.shift_traffic(artifact, {"2": 10}, stack=_STACK)

    assert "ProvisionedConcurrency=0" in str(refused.value)


def test_versions_are_told_apart_by_number_and_not_by_letter(
    artifact: Path, deployed: _Weights
) -> None:
    for number in range(4, 11):
        code = _zip_of(f"number = {number}")
        deployed.update_function_code(FunctionName="churn", ZipFile=code, Publish=True)
    deployed._client.update_alias(FunctionName="churn", Name="live", FunctionVersion="10")
    deployed.weights = {"9": 0.5}

    traffic.roll_back(artifact, stack=_STACK)

    assert {version for version, share in _shares(artifact).items() if share} == {"9"}


@pytest.mark.usefixtures("deployed")
def test_a_rollback_goes_where_it_is_told(artifact: Path) -> None:
    traffic.roll_back(artifact, to="1", stack=_STACK)

    assert _shares(artifact) == {"3": 0, "2": 0, "1": 100}


@pytest.mark.usefixtures("deployed")
def test_the_first_version_has_nothing_before_it(artifact: Path) -> None:
    traffic.roll_back(artifact, to="1", stack=_STACK)

    with pytest.raises(ConfigurationError, match="no version before 1"):
        traffic.roll_back(artifact, stack=_STACK)


def test_an_alias_that_somebody_else_changed_is_left_as_it_is(
    artifact: Path, deployed: _Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = deployed.get_alias(FunctionName="churn", Name="live")
    monkeypatch.setattr(deployed, "get_alias", lambda **_: told | {"RevisionId": "0"})

    with pytest.raises(CloudError, match="changed by somebody else"):
        traffic.roll_back(artifact, to="2", stack=_STACK)

    monkeypatch.undo()
    assert deployed.weights == {}


def test_a_stack_that_is_being_deployed_is_left_alone(
    artifact: Path, deployed: _Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = boto3.client("cloudformation")
    (found,) = stacks.describe_stacks(StackName=_STACK)["Stacks"]

    class _Busy:
        def describe_stacks(self, **_: str) -> dict[str, Any]:
            return {"Stacks": [found | {"StackStatus": "UPDATE_IN_PROGRESS"}]}

    def make(service: str) -> Any:
        return deployed if service == "lambda" else _Busy()

    with pytest.raises(ConfigurationError, match="cancel-update-stack --stack-name mine"):
        traffic.shift_traffic(artifact, {"2": 10}, stack=_STACK, clients=make)

    assert deployed.revision == "1"


@pytest.mark.parametrize("command", [("rollback",), ("traffic", "2=10"), ("versions",)])
def test_a_stack_that_is_not_there_is_told_with_its_region(
    artifact: Path, command: tuple[str, ...]
) -> None:
    name, *words = command

    done = CliRunner().invoke(app, [name, str(artifact), *words, "--stack", "other"])

    assert isinstance(done.exception, CloudError)
    assert str(done.exception).startswith("There is no stack other in us-east-1. Deploy")


@pytest.mark.parametrize("missing", ["alias", "function"])
def test_an_alias_that_somebody_deleted_is_told(
    artifact: Path, deployed: _Weights, missing: str
) -> None:
    deployed.delete_alias(FunctionName="churn", Name="live")
    if missing == "function":
        deployed.delete_function(FunctionName="churn")

    with pytest.raises(CloudError, match="use the alias live of churn, and Lambda has none"):
        traffic.roll_back(artifact, to="2", stack=_STACK)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_DEFAULT_REGION": None}, r"specify a region\.\nSet AWS_REGION"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, r"credentials\nLog in"),
        ({"AWS_SECRET_ACCESS_KEY": None}, r"Partial credentials .*\nLog in"),
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) .*\nSet AWS_PROFILE"),
    ],
)
def test_whoever_is_not_logged_in_hears_how(
    artifact: Path,
    variables: dict[str, str | None],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(CloudError, match=words):
        traffic.roll_back(artifact, to="2", stack=_STACK)


@pytest.mark.parametrize(
    "word", ["7", "7=", "=10", "x=10", "7=ten", "7=-1", "7=101", "7=nan", "\u0667=1"]
)
def test_a_share_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError):
        traffic.parse_shares([word])


def test_a_version_has_one_share() -> None:
    assert traffic.parse_shares(["7=10", "6=90%"]) == {"7": 10, "6": 90}
    with pytest.raises(ConfigurationError, match="two shares"):
        traffic.parse_shares(["7=10", "7=20"])


@given(st.text())
def test_whatever_is_typed_is_shares_or_a_sentence(word: str) -> None:
    try:
        shares = traffic.parse_shares([word])
    except ConfigurationError:
        return
    assert all(0 <= share <= 100 for share in shares.values())


_CHURN = traffic.FunctionAlias(function="churn")


class _Deployments:
    """CodeDeploy, in which deployments of these functions go on."""

    def __init__(self, *functions: str) -> None:
        self._functions = functions

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"deployments": [f"d-{each}" for each in self._functions]}]

    def get_deployment(self, deploymentId: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        content = json.dumps({"Properties": {"Name": deploymentId.removeprefix("d-")}})
        return {"deploymentInfo": {"revision": {"string": {"content": content}}}}


def test_a_function_that_no_stack_made_is_moved_by_its_name(
    artifact: Path, deployed: _Weights
) -> None:
    def make(service: str) -> Any:
        assert service != "cloudformation"
        return deployed if service == "lambda" else _Deployments("other")

    traffic.shift_traffic(artifact, {"2": 10}, function=_CHURN, clients=make)
    assert deployed.weights == {"2": 0.1}
    found = traffic.roll_back(artifact, function=_CHURN, clients=make)
    assert [row["percent"] for row in found["versions"]] == [0, 100, 0]


def test_a_function_that_codedeploy_moves_is_left_alone(artifact: Path, deployed: _Weights) -> None:
    def make(service: str) -> Any:
        return deployed if service == "lambda" else _Deployments("other", "churn")

    with pytest.raises(ConfigurationError, match="stop-deployment --deployment-id d-churn"):
        traffic.roll_back(artifact, to="1", function=_CHURN, clients=make)

    assert deployed.revision == "1"


def test_a_function_that_is_not_there_is_told(artifact: Path, deployed: _Weights) -> None:
    with pytest.raises(CloudError, match="no alias live of a function wine"):
        traffic.list_versions(artifact, function=traffic.FunctionAlias(function="wine"))
    both = ["versions", str(artifact), "--function", "churn", "--stack", _STACK]
    assert isinstance(CliRunner().invoke(app, both).exception, ConfigurationError)
    done = CliRunner().invoke(app, ["versions", str(artifact), "--function", "churn"])
    assert "100 %" in done.stdout


def test_a_target_without_an_alias_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="built for azure-functions"):
        traffic.list_versions(_build(tmp_path, "azure-functions"))


def test_no_artifact_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError):
        traffic.list_versions(tmp_path)


@pytest.mark.usefixtures("deployed")
def test_the_commands_show_what_they_did(artifact: Path) -> None:
    ask = CliRunner().invoke

    said = ask(app, ["traffic", str(artifact), "2=10", "--stack", _STACK, "--json"])
    assert said.exit_code == 0, said.output
    assert [row["percent"] for row in json.loads(said.stdout)["versions"]] == [90, 10, 0]
    assert "90 %" in ask(app, ["versions", str(artifact), "--stack", _STACK]).stdout
    assert ask(app, ["rollback", str(artifact), "--stack", _STACK, "--to", "2"]).exit_code == 0
    wrong = ask(app, ["traffic", str(artifact), "2", "--stack", _STACK])
    assert isinstance(wrong.exception, ConfigurationError)
