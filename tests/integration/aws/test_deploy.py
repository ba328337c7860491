"""An emitted folder, deployed by the SAM CLI, answers with the very bytes that were built."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from packager.environments import interpreters
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import BuildReport, Front, Runtime
from tests import fake_plan
from tests.integration.aws.conftest import Sam

pytestmark = pytest.mark.slow


class Cloud:
    """The clients that the tests ask, all of one endpoint."""

    def __init__(self, endpoint: str, credentials: dict[str, str]) -> None:
        session = boto3.Session(
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            region_name=credentials["AWS_DEFAULT_REGION"],
        )
        self.stacks = session.client("cloudformation", endpoint_url=endpoint)
        self.functions = session.client("lambda", endpoint_url=endpoint)
        self.roles = session.client("iam", endpoint_url=endpoint)
        self.logs = session.client("logs", endpoint_url=endpoint)

    def outputs_of(self, stack: str) -> dict[str, str]:
        (found,) = self.stacks.describe_stacks(StackName=stack)["Stacks"]
        return {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}

    def resources_of(self, stack: str) -> dict[str, str]:
        found: list[Any] = self.stacks.describe_stack_resources(StackName=stack)["StackResources"]
        # moto lists, without a name, what a condition leaves out
        named = (item for item in found if "LogicalResourceId" in item)
        return {item["LogicalResourceId"]: item["ResourceType"] for item in named}

    def ask(self, function: str, payload: Any) -> tuple[dict[str, Any], Any]:
        answer = self.functions.invoke(
            FunctionName=function, Qualifier="live", Payload=json.dumps(payload).encode()
        )
        return dict(answer), json.loads(answer["Payload"].read())


@pytest.fixture
def cloud(endpoint: str, credentials: dict[str, str]) -> Cloud:
    return Cloud(endpoint, credentials)


def _runtime() -> Runtime:
    """The newest runtime whose Python this machine has: what is deployed is also run."""
    newest = interpreters.available(("3.13", "3.12", "3.11"))[0].minor
    return replace(fake_plan.RUNTIME, name=f"python{newest}", python_minor=newest)


def _emitted(base: Path, name: str, front: Front, **request: Any) -> BuildReport:
    plan = fake_plan.plan(
        model=fake_plan.model(name),
        request=fake_plan.request(front=front, **request),
        runtime=_runtime(),
    )
    root = fake_plan.tree(base / "tree", plan)
    out = base / "out"
    out.mkdir(parents=True)
    verified = fake_plan.verified(root)
    return emit(package(verified, plan, out), verified, plan, out)


@pytest.mark.parametrize("front", list(Front))
def test_validate_finds_nothing(tmp_path: Path, sam_in: Sam, front: Front) -> None:
    out = _emitted(tmp_path / "build", "valid", front).artifact.path.parent

    done = sam_in(out, "validate", "--lint")

    assert "is a valid SAM Template" in done.stdout


def test_validate_catches_a_broken_template(tmp_path: Path, sam_in: Sam) -> None:
    out = _emitted(tmp_path / "build", "broken", Front.NONE).artifact.path.parent
    template = out / "template.yaml"
    template.write_text(template.read_text().replace("!Ref LogGroup", "!Ref Nothing"))

    done = sam_in(out, "validate", "--lint", check=False)

    assert done.returncode != 0
    assert "Nothing" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("front", "built"),
    [(Front.HTTP_API, True), (Front.FUNCTION_URL, False), (Front.NONE, False)],
)
def test_deployed_bytes_answer(
    tmp_path: Path, sam_in: Sam, cloud: Cloud, front: Front, *, built: bool
) -> None:
    name = f"stack-{front.value}"
    report = _emitted(tmp_path / "build", name, front)
    out = report.artifact.path.parent
    if built:
        sam_in(out, "build")

    sam_in(out, "deploy", "--no-confirm-changeset", "--no-progressbar")

    outputs = cloud.outputs_of(name)
    assert ("Url" in outputs) == (front is not Front.NONE)
    assert outputs["AliasArn"].endswith(":live")
    function = outputs["FunctionName"]
    settings = cloud.functions.get_function(FunctionName=function)["Configuration"]
    sha256 = base64.b64decode(settings["CodeSha256"]).hex()
    assert sha256 == report.artifact.sha256
    assert sha256 == hashlib.sha256(report.artifact.path.read_bytes()).hexdigest()
    assert (settings["Runtime"], settings["MemorySize"]) == (_runtime().name, 512)

    event = json.loads((out / "events" / "direct.json").read_text())
    answer, value = cloud.ask(function, event)
    assert "FunctionError" not in answer
    assert value["given"] == event


def test_packaged_template_points_at_the_artifact(tmp_path: Path, sam_in: Sam) -> None:
    report = _emitted(tmp_path / "build", "packaged", Front.NONE)
    out = report.artifact.path.parent

    done = sam_in(out, "package", "--no-progressbar")

    md5 = hashlib.md5(report.artifact.path.read_bytes(), usedforsecurity=False).hexdigest()
    assert f"packaged/{md5}" in done.stdout


def test_what_was_deployed_is_whole_and_can_be_removed(
    tmp_path: Path, sam_in: Sam, cloud: Cloud
) -> None:
    report = _emitted(tmp_path / "build", "whole", Front.HTTP_API, memory_mb=768)
    out = report.artifact.path.parent
    parameters = ("Tracing=enabled", "LogRetentionDays=7", "HttpAuth=NONE")

    sam_in(out, "deploy", "--no-progressbar", "--parameter-overrides", *parameters)

    resources = cloud.resources_of("whole")
    assert resources["FunctionAliaslive"] == "AWS::Lambda::Alias"
    assert resources["HttpApi"] == "AWS::ApiGatewayV2::Api"
    assert {"Role", "LogGroup", "ErrorsAlarm", "DurationAlarm"} <= set(resources)
    function = cloud.outputs_of("whole")["FunctionName"]
    settings = cloud.functions.get_function(FunctionName=function)
    assert settings["Configuration"]["MemorySize"] == 768
    role = settings["Configuration"]["Role"].rpartition("/")[2]
    policies = cloud.roles.list_role_policies(RoleName=role)["PolicyNames"]
    assert sorted(policies) == ["send-traces", "write-own-log"]
    assert cloud.roles.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    tags = cloud.roles.list_role_tags(RoleName=role)["Tags"]
    assert {"Key": "mlflow:model", "Value": "whole"} in tags
    groups = cloud.logs.describe_log_groups()["logGroups"]
    kept = {group["logGroupName"]: group["retentionInDays"] for group in groups}
    assert kept.items() >= {"/aws/lambda/whole": 7, "/aws/vendedlogs/apis/whole": 7}.items()

    sam_in(out, "delete", "--no-prompts")

    left = cloud.functions.list_functions()["Functions"]
    assert function not in {item["FunctionName"] for item in left}
