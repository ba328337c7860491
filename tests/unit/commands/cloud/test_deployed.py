"""`packager verify --deployed`: what runs is what was built, or the difference is named."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from packager import targets
from packager.cli import app
from packager.commands.artifact.template_environment import read_environment
from packager.commands.cloud.deployed import compare_deployed
from packager.errors import CloudError, ConfigurationError, ModelFormatError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import HostKind
from tests import fake_plan

pytestmark = pytest.mark.usefixtures("aws")
_ROLE = "arn:aws:iam::123456789012:role/r"


def _build(base: Path, name: str = "aws-lambda") -> Path:
    target = targets.load(name)
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    request = fake_plan.request(target=name)
    plan = fake_plan.plan(request=request, target=target, runtime=runtime)
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    out = base / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return _build(tmp_path)


def _deploy(artifact: Path, stack: str, **changes: Any) -> str:
    """As the template would: a function, its alias, and a stack that names it."""
    function: dict[str, Any] = {
        "FunctionName": "churn",
        "Role": _ROLE,
        "Runtime": "python3.13",
        "Handler": "handlers.aws_lambda.handler",
        "Architectures": ["x86_64"],
        "Code": {"ZipFile": (artifact / "function.zip").read_bytes()},
        "Environment": {"Variables": read_environment(artifact, HostKind.LAMBDA)},
    }
    functions = boto3.client("lambda")
    made = functions.create_function(**function | changes, Publish=True)
    alias = functions.create_alias(
        FunctionName="churn", Name="live", FunctionVersion=made["Version"]
    )
    _make_stack(stack, {"AliasArn": {"Value": alias["AliasArn"]}})
    return str(made["Version"])


def _make_stack(name: str, outputs: dict[str, Any]) -> None:
    template = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_what_was_deployed_as_built_passes(artifact: Path) -> None:
    _deploy(artifact, "mine")

    assert compare_deployed(artifact, stack="mine") == {
        "name": "deployed",
        "passed": True,
        "problems": [],
    }


def test_the_stack_is_the_one_that_samconfig_names(artifact: Path) -> None:
    name = next(
        line.split('"')[1]
        for line in (artifact / "samconfig.toml").read_text().splitlines()
        if line.startswith("stack_name")
    )
    _deploy(artifact, name)

    assert compare_deployed(artifact)["passed"]


def _zip_of(text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", text)
    return file.getvalue()


_CHANGES: dict[str, dict[str, Any]] = {
    "CodeSha256 is ": {"Code": {"ZipFile": _zip_of("evil = 1")}},
    "Runtime is python3.12, and python3.13": {"Runtime": "python3.12"},
    "Handler is app.handler": {"Handler": "app.handler"},
    "Architectures is ['arm64']": {"Architectures": ["arm64"]},
    "has the variable PYTHONPATH": {"Environment": {"Variables": {"PYTHONPATH": "/opt/mine"}}},
    "has the variable AWS_LAMBDA_EXEC_WRAPPER": {
        "Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}}
    },
}


@pytest.mark.few(3)
@pytest.mark.parametrize("words", _CHANGES)
def test_each_difference_is_named(artifact: Path, words: str) -> None:
    _deploy(artifact, "mine", **_CHANGES[words])

    found = compare_deployed(artifact, stack="mine")

    assert not found["passed"]
    assert any(words in problem for problem in found["problems"])


@pytest.mark.few(0)
def test_a_layer_is_named(artifact: Path) -> None:
    layer = boto3.client("lambda").publish_layer_version(
        LayerName="extra", Content={"ZipFile": _zip_of("x = 1")}
    )
    _deploy(artifact, "mine", Layers=[layer["LayerVersionArn"]])

    (problem,) = compare_deployed(artifact, stack="mine")["problems"]

    assert layer["LayerVersionArn"] in problem


class _Split:
    """Lambda with an alias that sends a tenth elsewhere: moto keeps no weights of that version."""

    def __init__(self, artifact: Path) -> None:
        digest = json.loads((artifact / "report.json").read_text())["sha256"]
        self._code = base64.b64encode(bytes.fromhex(digest)).decode()

    def get_alias(self, **_: str) -> dict[str, Any]:
        weights = {"AdditionalVersionWeights": {"7": 0.1}}
        return {"FunctionVersion": "6", "RoutingConfig": weights}

    def get_function_configuration(self, **given: str) -> dict[str, Any]:
        return {
            "CodeSha256": self._code if given["Qualifier"] == "6" else "other",
            "Runtime": "python3.13",
            "Handler": "handlers.aws_lambda.handler",
            "Architectures": ["x86_64"],
        }


def test_a_version_that_gets_a_share_of_the_requests_is_compared_too(artifact: Path) -> None:
    _make_stack("mine", {"AliasArn": {"Value": "arn:aws:lambda:us-east-1:1:function:churn:live"}})

    def make(service: str) -> Any:
        found: Any = boto3.client
        return _Split(artifact) if service == "lambda" else found(service)

    (problem,) = compare_deployed(artifact, stack="mine", clients=make)["problems"]

    assert problem.startswith("mine, version 7: CodeSha256 is other")


def test_a_stack_of_something_else_is_told_so(artifact: Path) -> None:
    _make_stack("mine", {"Other": {"Value": "x"}})

    with pytest.raises(ConfigurationError, match="no output AliasArn"):
        compare_deployed(artifact, stack="mine")


def test_a_stack_that_is_not_there_is_named(artifact: Path) -> None:
    with pytest.raises(CloudError, match="There is no stack"):
        compare_deployed(artifact, stack="none")


def test_no_artifact_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError):
        compare_deployed(tmp_path, stack="mine")


@pytest.mark.parametrize(
    ("name", "way"),
    [("azure-functions", "released-package.zip"), ("gpu-container", "--image REGISTRY/NAME@")],
)
def test_a_target_that_does_not_tell_is_refused_with_a_way(
    tmp_path: Path, name: str, way: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"--deployed cannot compare .*{way}"):
        compare_deployed(_build(tmp_path, name))


def test_the_command_ends_with_12_for_a_function_that_is_another(artifact: Path) -> None:
    _deploy(artifact, "mine", Handler="app.handler")
    ask = CliRunner().invoke

    said = ask(app, ["verify", str(artifact), "--deployed", "--stack", "mine", "--json"])
    assert said.exit_code == 12
    (failed,) = (each for each in json.loads(said.stdout)["checks"] if not each["passed"])
    assert failed["name"] == "deployed"

    assert ask(app, ["verify", str(artifact), "--stack", "mine"]).exit_code == 2
