"""What the plugin asks AWS to do, and what it says where AWS will not."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow.deployments import cli, get_deploy_client
from mlflow.exceptions import MlflowException

from packager.deployments import AwsLambdaDeploymentClient, _artifact, _aws
from packager.deployments._settings import Account
from packager.environments.machine.installation import name_install
from packager.pipeline.emit import stack_name
from packager.system.atomic_output import MARKER
from packager.types import Rollout
from tests.unit.deployments import deploying

TAGS = {
    "mlflow:deployment": "churn",
    "mlflow:flavor": "sklearn",
    "packager:code": "s3://b/p/q/x.zip",
}
DEFAULTS = {"MemorySizeMb": "512", "TimeoutSeconds": "30", "Tracing": "disabled", "Gone": "1"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = deploying.cloud()
    monkeypatch.setattr(_aws, "connect", lambda _: made[0])
    return made


@pytest.fixture
def stacks(world: Any) -> deploying.Stacks:
    found: deploying.Stacks = world[1]
    return found


@pytest.fixture
def client() -> AwsLambdaDeploymentClient:
    return AwsLambdaDeploymentClient("aws-lambda")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(deploying.artifact(tmp_path))


def _deployed(stacks: deploying.Stacks, **known: Any) -> None:
    stacks.there["churn"] = deploying.stack("churn", **{"tags": TAGS, **known})
    stacks.defaults = DEFAULTS


def _refused(code: str, call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(MlflowException) as caught:
        call(*args, **kwargs)
    assert caught.value.error_code == code
    return str(caught.value)


def test_mlflow_finds_the_client_by_the_target_name() -> None:
    made = get_deploy_client("aws-lambda:/eu-west-1")

    assert type(made) is AwsLambdaDeploymentClient
    assert made.target_uri == "aws-lambda:/eu-west-1"


def test_methods_take_what_mlflow_hands_over(client: AwsLambdaDeploymentClient) -> None:
    # MLflow looks at the signatures: what is wrapped must still show its own
    for name in ("create_deployment", "update_deployment", "delete_deployment"):
        assert {"name", "config", "endpoint"} <= set(
            inspect.signature(getattr(client, name)).parameters
        )


def test_create_uploads_and_makes_a_stack_that_carries_the_name(
    client: AwsLambdaDeploymentClient, world: Any, folder: str
) -> None:
    _, stacks, objects, _ = world
    config = {"bucket": "b", "memory": 768, "Tracing": "enabled", "tags": {"team": "ml"}}

    found = client.create_deployment("my churn", folder, config=config)

    asked = stacks.last("create_change_set")
    assert (asked["StackName"], asked["ChangeSetType"]) == (stack_name("my churn"), "CREATE")
    (key,) = objects.uploaded
    assert f"CodeUri: s3://{key}" in asked["TemplateBody"]
    assert asked["Parameters"] == [
        {"ParameterKey": "MemorySizeMb", "ParameterValue": "768"},
        {"ParameterKey": "Tracing", "ParameterValue": "enabled"},
    ]
    assert {"Key": "team", "Value": "ml"} in asked["Tags"]
    assert {"Key": "mlflow:deployment", "Value": "my churn"} in asked["Tags"]
    assert (found["name"], found["flavor"]) == ("my churn", "sklearn")
    assert [one["name"] for one in client.list_deployments()] == ["my churn"]


def test_the_check_of_a_rollout_is_uploaded_beside_the_function(
    client: AwsLambdaDeploymentClient, world: Any, tmp_path: Path
) -> None:
    _, stacks, objects, _ = world
    folder = deploying.artifact(tmp_path / "canary", rollout=Rollout.CANARY)

    client.create_deployment("churn", str(folder), config={"bucket": "b"})

    template = stacks.last("create_change_set")["TemplateBody"]
    check, function = sorted(objects.uploaded, key=lambda key: not key.endswith(".rollout.zip"))
    assert f"CodeUri: s3://{check}\n" in template
    assert f"CodeUri: s3://{function}\n" in template
    assert "CodeUri: rollout/" not in template


def test_create_refuses_a_name_that_is_taken(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    _deployed(stacks)

    said = _refused("RESOURCE_ALREADY_EXISTS", client.create_deployment, "churn", "models:/x/1")

    assert "update it, or delete it first" in said
    assert stacks.operations() == []


@pytest.mark.parametrize("method", ["delete_deployment", "update_deployment", "get_deployment"])
def test_another_stack_of_the_name_is_left_alone(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, method: str
) -> None:
    stacks.there["churn"] = deploying.stack("churn", tags={"owner": "somebody else"})

    said = _refused("RESOURCE_ALREADY_EXISTS", getattr(client, method), "churn")

    assert "left alone" in said
    assert stacks.operations() == []


def test_what_a_failed_creation_left_is_removed_first(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, folder: str
) -> None:
    _deployed(stacks, status="ROLLBACK_COMPLETE")

    client.create_deployment("churn", folder, config={"bucket": "b"})

    assert stacks.operations() == ["delete_stack", "create_change_set", "execute_change_set"]


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("404", "RESOURCE_DOES_NOT_EXIST", "There is no bucket b"),
        ("403", "PERMISSION_DENIED", "may not be used"),
        ("301", "INVALID_PARAMETER_VALUE", "not in eu-west-1"),
        ("500", "INTERNAL_ERROR", "HeadBucket"),
    ],
)
def test_a_bucket_that_cannot_be_used_stops_before_the_build(
    client: AwsLambdaDeploymentClient, world: Any, status: str, code: str, words: str
) -> None:
    world[2].no_bucket = status

    said = _refused(code, client.create_deployment, "churn", "no-model", config={"bucket": "b"})

    assert words in said


def test_creation_without_a_bucket_says_how_to_make_one(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    said = _refused("INVALID_PARAMETER_VALUE", client.create_deployment, "churn", "no-model")

    assert "-C bucket=NAME" in said


def test_a_failed_creation_gives_its_reasons_and_leaves_no_stack(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, folder: str
) -> None:
    def event(resource: str, status: str, reason: str = "") -> dict[str, str]:
        return {
            "LogicalResourceId": resource,
            "StackName": "churn",
            "ResourceType": "AWS::Some::Thing",
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }

    stacks.fails, stacks.status_after = "stack_create_complete", "ROLLBACK_COMPLETE"
    stacks.events = [
        event("churn", "ROLLBACK_IN_PROGRESS"),
        event("Function", "CREATE_FAILED", "Resource creation cancelled"),
        event("Role", "CREATE_FAILED", "not authorized to perform iam:CreateRole"),
        event("churn", "CREATE_IN_PROGRESS", "User Initiated"),
        event("LogGroup", "CREATE_FAILED", "of an earlier operation"),
    ]

    said = _refused(
        "INTERNAL_ERROR", client.create_deployment, "churn", folder, config={"bucket": "b"}
    )

    assert "Role (AWS::Some::Thing): not authorized to perform iam:CreateRole" in said
    assert "cancelled" not in said
    assert "earlier" not in said
    assert stacks.operations()[-1] == "delete_stack"


def test_a_refused_template_leaves_no_empty_stack(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, folder: str
) -> None:
    stacks.fails, stacks.reason = "change_set_create_complete", "Parameter X must be one of Y"

    said = _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, config={"bucket": "b"}
    )

    assert "Parameter X must be one of Y" in said
    assert stacks.operations() == ["create_change_set", "delete_change_set", "delete_stack"]


def test_an_update_with_a_model_keeps_only_what_somebody_had_set(
    client: AwsLambdaDeploymentClient, world: Any, folder: str
) -> None:
    _, stacks, objects, _ = world
    _deployed(stacks, parameters={**DEFAULTS, "MemorySizeMb": "1024", "Gone": "2"})

    client.update_deployment("churn", folder, config={"TimeoutSeconds": 20})

    asked = stacks.last("create_change_set")
    assert asked["Parameters"] == [
        {"ParameterKey": "MemorySizeMb", "UsePreviousValue": True},
        {"ParameterKey": "TimeoutSeconds", "ParameterValue": "20"},
    ]
    # bucket and prefix are those of before
    (key,) = objects.uploaded
    assert key.startswith("b/p/q/")
    assert asked["ChangeSetType"] == "UPDATE"


def test_an_update_of_settings_alone_builds_and_uploads_nothing(
    client: AwsLambdaDeploymentClient, world: Any
) -> None:
    _, stacks, objects, _ = world
    _deployed(stacks, parameters=DEFAULTS)

    client.update_deployment("churn", config={"memory": "1024", "tags": "team=ml"})

    asked = stacks.last("create_change_set")
    assert asked["UsePreviousTemplate"] is True
    assert {"ParameterKey": "MemorySizeMb", "ParameterValue": "1024"} in asked["Parameters"]
    assert {"ParameterKey": "Tracing", "UsePreviousValue": True} in asked["Parameters"]
    assert {"Key": "mlflow:deployment", "Value": "churn"} in asked["Tags"]
    assert objects.uploaded == {}


def _find_revision(stacks: deploying.Stacks) -> dict[str, Any]:
    asked = stacks.last("create_change_set")["Parameters"]
    (found,) = (each for each in asked if each["ParameterKey"] == "Revision")
    return dict(found)


_KEPT = {"ParameterKey": "Revision", "UsePreviousValue": True}


@pytest.mark.parametrize(
    ("change", "publishes"),
    [
        ({"OutputPrefix": "new/"}, True),
        ({"OutputPrefix": "old/"}, False),
        ({"SubnetIds": "subnet-1,subnet-3", "memory": "1024"}, True),
        ({"memory": "1024"}, False),
    ],
)
def test_an_update_publishes_a_version_of_what_no_description_has(
    client: AwsLambdaDeploymentClient, world: Any, change: dict[str, str], *, publishes: bool
) -> None:
    _, stacks, _, _ = world
    there = {"OutputPrefix": "old/", "SubnetIds": "subnet-1,subnet-2", "Revision": ""}

    def update(**more: str) -> dict[str, Any]:
        _deployed(stacks, parameters={**DEFAULTS, **there})
        client.update_deployment("churn", config={**change, **more})
        return _find_revision(stacks)

    first = update()

    assert (first != _KEPT) is publishes
    assert len(first.get("ParameterValue", "")) == 8 * publishes
    assert update() == first
    assert update(Revision="mine")["ParameterValue"] == "mine"


def test_an_update_with_a_model_publishes_a_version_of_it_too(
    client: AwsLambdaDeploymentClient, world: Any, folder: str
) -> None:
    _, stacks, _, _ = world
    there = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "Revision": ""}
    _deployed(stacks, parameters={**DEFAULTS, **there})

    client.update_deployment("churn", folder, config={"SubnetIds": "subnet-1,subnet-3"})

    assert len(_find_revision(stacks)["ParameterValue"]) == 8


def test_a_stack_of_an_older_template_is_given_no_revision(
    client: AwsLambdaDeploymentClient, world: Any
) -> None:
    _, stacks, _, _ = world
    _deployed(stacks, parameters={**DEFAULTS, "OutputPrefix": "old/"})

    client.update_deployment("churn", config={"OutputPrefix": "new/"})

    assert "Revision" not in str(stacks.last("create_change_set")["Parameters"])


@pytest.mark.parametrize("unchanged", ["at once", "later"])
def test_an_update_that_changes_nothing_succeeds(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, unchanged: str
) -> None:
    _deployed(stacks, parameters=DEFAULTS)
    stacks.unchanged = unchanged
    if unchanged == "later":
        stacks.fails = "change_set_create_complete"
        stacks.reason = "The submitted information didn't contain changes. Submit different ..."

    assert client.update_deployment("churn", config={"memory": 512})["flavor"] == "sklearn"

    assert "execute_change_set" not in stacks.operations()
    assert "delete_stack" not in stacks.operations()


def test_a_failed_update_says_that_the_old_one_is_back(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    _deployed(stacks, parameters=DEFAULTS)
    stacks.fails, stacks.status_after = "stack_update_complete", "UPDATE_ROLLBACK_COMPLETE"

    said = _refused("INTERNAL_ERROR", client.update_deployment, "churn", config={"memory": 1024})

    assert "What was deployed before is back" in said
    assert "delete_stack" not in stacks.operations()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"front": "none"}, "front takes effect in a build"),
        ({"out": "x"}, "out takes effect in a build"),
        ({"SnapStart": "None"}, "has no parameter SnapStart"),
        ({"bucket": "other"}, "bucket takes effect when code is uploaded"),
        ({"prefix": "other"}, "prefix takes effect when code is uploaded"),
    ],
)
def test_an_update_without_a_model_refuses_what_it_cannot_do(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, config: Any, words: str
) -> None:
    _deployed(stacks, parameters=DEFAULTS)

    assert words in _refused(
        "INVALID_PARAMETER_VALUE", client.update_deployment, "churn", config=config
    )


def test_a_stack_that_is_being_changed_is_not_updated(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    _deployed(stacks, status="UPDATE_IN_PROGRESS")

    _refused("RESOURCE_CONFLICT", client.update_deployment, "churn", config={"memory": 1024})


PROVIDER = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:own"


@pytest.mark.parametrize("compute", ["", "managed-instances"])
def test_an_artifact_for_managed_instances_takes_their_parameters(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, tmp_path: Path, compute: str
) -> None:
    folder = str(deploying.artifact_on_instances(tmp_path))
    own = {"CapacityProviderArn": PROVIDER, "MaxConcurrency": 8, "memory": 16384}
    config = {"bucket": "b", **own, **({"compute": compute} if compute else {})}
    if compute:
        said = _refused(
            "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, config=config
        )
        assert "compute takes effect in a build" in said
        return
    client.create_deployment("churn", folder, config=config)

    told = {each["ParameterKey"]: each["ParameterValue"] for each in stacks.parameters()}
    assert told == {
        "CapacityProviderArn": PROVIDER,
        "MaxConcurrency": "8",
        "MemorySizeMb": "16384",
    }


@pytest.mark.parametrize(
    ("on_instances", "given", "words"),
    [
        (True, {"memory": 1024}, "give at least"),
        (True, {"MaxConcurrency": 5000}, "give at most"),
        (True, {"ReservedConcurrency": 3}, "has no parameter ReservedConcurrency"),
        (False, {"memory": 16384}, "give at most 10240"),
        (False, {"MaxConcurrency": 8}, "has no parameter MaxConcurrency"),
    ],
)
def test_values_are_held_to_the_artifact_s_own_template(
    client: AwsLambdaDeploymentClient,
    world: Any,
    tmp_path: Path,
    *,
    on_instances: bool,
    given: dict[str, int],
    words: str,
) -> None:
    _, stacks, objects, _ = world
    build = deploying.artifact_on_instances if on_instances else deploying.artifact
    folder, config = str(build(tmp_path)), {"bucket": "b", **given}
    _deployed(stacks, parameters=DEFAULTS)
    for call in (client.update_deployment, client.create_deployment):
        if call == client.create_deployment:
            stacks.there.clear()
        said = _refused("INVALID_PARAMETER_VALUE", call, "churn", folder, config=config)
        assert words in said
    assert objects.uploaded == {}


@pytest.mark.parametrize(
    ("on_instances", "given", "words"),
    [
        (True, {"memory": 16384, "MaxConcurrency": 8}, ""),
        (True, {"memory": 1024}, "give at least"),
        (False, {"memory": 10240}, ""),
        (False, {"memory": 16384}, "give at most 10240"),
        (False, {"MaxConcurrency": 8}, "has no parameter MaxConcurrency"),
    ],
)
def test_a_running_deployment_takes_what_its_machines_take(
    client: AwsLambdaDeploymentClient,
    stacks: deploying.Stacks,
    *,
    on_instances: bool,
    given: dict[str, int],
    words: str,
) -> None:
    there = {"MemorySizeMb": "4096", "TimeoutSeconds": "30"}
    _deployed(stacks, parameters={**there, **({"MaxConcurrency": "4"} if on_instances else {})})
    if words:
        assert words in _refused(
            "INVALID_PARAMETER_VALUE", client.update_deployment, "churn", config=given
        )
        return
    client.update_deployment("churn", config=given)

    told = {each["ParameterKey"]: each.get("ParameterValue") for each in stacks.parameters()}
    assert told["MemorySizeMb"] == str(given["memory"])


def test_a_build_is_not_begun_for_a_value_that_it_cannot_have(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_artifact, "build_or_reuse", lambda *_: pytest.fail("built"))
    config = {"bucket": "b", "memory": 16384}

    assert "give at most 10240" in _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", "models:/c/1", config=config
    )


def test_another_flavor_than_the_packaged_one_is_refused(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, folder: str
) -> None:
    config = {"bucket": "b"}
    _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, "onnx", config=config
    )

    assert client.create_deployment("churn", folder, "python_function", config=config)


def test_settings_of_a_build_are_refused_for_what_is_built(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, folder: str
) -> None:
    config = {"bucket": "b", "engine": "onnx"}

    said = _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, config=config
    )

    assert "engine takes effect in a build" in said


def test_an_artifact_of_another_target_is_refused(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, folder: str
) -> None:
    path = Path(folder) / MARKER
    report = json.loads(path.read_text())
    report["target"]["name"] = "azure-functions"
    path.write_text(json.dumps(report))

    said = _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, config={"bucket": "b"}
    )

    assert "was built for azure-functions" in said
    assert "README.md" in said


def test_what_a_source_of_events_cannot_do_without_is_asked_for_before_the_upload(
    client: AwsLambdaDeploymentClient, world: Any, tmp_path: Path
) -> None:
    asked = {"events": ("sns", "kinesis"), "output_to": "s3://bucket/p"}
    folder = str(deploying.artifact(tmp_path, **asked))
    config = {"bucket": "b"}
    stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
    topic = "arn:aws:sns:eu-west-1:123456789012:t"

    said = _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, config=config
    )

    assert "-C TopicArn=...  SNS topic whose notifications are scored" in said
    assert "-C StreamArn=..." in said
    assert world[2].uploaded == {}
    config |= {"TopicArn": topic, "StreamArn": stream}
    assert client.create_deployment("churn", folder, config=config)


def test_a_template_too_large_for_a_request_lies_beside_the_code(
    client: AwsLambdaDeploymentClient, world: Any, tmp_path: Path
) -> None:
    _, stacks, objects, _ = world
    every = (
        "files",
        "s3",
        "sqs",
        "eventbridge",
        "stepfunctions",
        "schedule",
        "kinesis",
        "dynamodb",
    )
    asked = {"events": (*every, "sns", "kafka"), "output_to": "s3://bucket/p", "batch": True}
    folder = deploying.artifact(tmp_path, **asked)
    config = {
        "bucket": "b",
        "InputBucket": "inputs",
        "EventSource": "a",
        "EventDetailType": "b",
        "StreamArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
        "TableStreamArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/1",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
        "KafkaClusterArn": "arn:aws:kafka:eu-west-1:123456789012:cluster/c/1",
        "KafkaTopic": "t",
    }

    client.create_deployment("churn", str(folder), config=config)

    asked_for = stacks.last("create_change_set")
    assert "TemplateBody" not in asked_for
    key = asked_for["TemplateURL"].removeprefix("https://s3.eu-west-1.amazonaws.com/b/")
    code = next(key for key in objects.uploaded if key.endswith(".zip"))
    assert f"CodeUri: s3://{code}" in objects.written[key].decode()


def test_a_zip_that_is_not_the_proven_one_is_refused(
    client: AwsLambdaDeploymentClient, world: Any, folder: str
) -> None:
    with (Path(folder) / "function.zip").open("ab") as file:
        file.write(b"x")

    said = _refused(
        "INVALID_PARAMETER_VALUE", client.create_deployment, "churn", folder, config={"bucket": "b"}
    )

    assert "function.zip was changed" in said
    assert world[2].uploaded == {}


def test_the_same_code_is_uploaded_once(
    client: AwsLambdaDeploymentClient, world: Any, folder: str
) -> None:
    # the stand-in refuses a second upload of a key
    client.create_deployment("churn", folder, config={"bucket": "b"})
    client.update_deployment("churn", folder)

    assert len(world[2].uploaded) == 1


def test_deleting_what_is_not_there_is_no_error(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    client.delete_deployment("churn")

    assert stacks.operations() == []


def test_delete_removes_the_stack(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    _deployed(stacks)

    client.delete_deployment("churn", config={"role": "arn:aws:iam::123456789012:role/deploy"})

    assert stacks.last("delete_stack")["RoleARN"].endswith("deploy")


def test_predict_asks_the_live_alias(client: AwsLambdaDeploymentClient, world: Any) -> None:
    _, stacks, _, functions = world
    _deployed(stacks)

    assert client.predict("churn", {"inputs": [[1]]}).get_predictions("ndarray").tolist() == [1]

    (asked,) = functions.asked
    assert asked == {
        "FunctionName": "churn-Function",
        "Qualifier": "live",
        "Payload": b'{"inputs": [[1]]}',
    }


def test_predict_raises_what_the_function_refused(
    client: AwsLambdaDeploymentClient, world: Any
) -> None:
    _, stacks, _, functions = world
    _deployed(stacks)
    functions.error = "Unhandled"
    functions.answer = {"errorType": "BadRequestError", "errorMessage": "BAD_REQUEST: Not this."}

    assert _refused("BAD_REQUEST", client.predict, "churn", [1]) == "churn: Not this."


def test_predict_before_the_stack_is_there_says_its_state(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    _deployed(stacks, status="CREATE_IN_PROGRESS", outputs={})

    assert "CREATE_IN_PROGRESS" in _refused("INVALID_STATE", client.predict, "churn", [1])


@pytest.mark.parametrize("name", ["", "mödel", "a{b}", "x" * 257, " x"])
def test_a_name_that_a_tag_cannot_hold_is_refused(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks, name: str
) -> None:
    _refused("INVALID_PARAMETER_VALUE", client.get_deployment, name)


def test_endpoints_and_explain_are_not_supported(
    client: AwsLambdaDeploymentClient, stacks: deploying.Stacks
) -> None:
    _refused("NOT_IMPLEMENTED", client.explain, "churn", None)
    _refused("NOT_IMPLEMENTED", client.list_deployments, endpoint="e")
    _refused("NOT_IMPLEMENTED", client.predict, None, [1], endpoint="e")


def test_without_boto3_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    said = _refused("FEATURE_DISABLED", _aws.connect, Account(region="eu-west-1"))

    assert name_install(extra="aws") in said


def test_without_a_region_the_message_says_where_to_name_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    assert "aws-lambda:/REGION" in _refused("INVALID_PARAMETER_VALUE", _aws.connect, Account())


def test_the_command_line_shows_a_sentence_and_no_traceback(stacks: deploying.Stacks) -> None:
    arguments = ["get", "-t", "aws-lambda", "--name", "churn"]

    done = CliRunner().invoke(cli.commands, arguments)

    assert done.exit_code == 1
    assert done.output.startswith("Error: There is no deployment churn in eu-west-1.")
    assert "Traceback" not in done.output
