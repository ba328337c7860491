"""CDK's app has the template's resources as they are, and the artifact's code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from packager.environments import uv_command
from packager.system import resources
from tests.unit.pipeline.emit.infrastructure.builds import BUILDS, read_sam

Emitted = Callable[[str], Path]
_HASHED: Final = ("FunctionVersion", "RestApiDeployment")


@pytest.mark.parametrize("name", list(BUILDS))
def test_the_template_is_what_the_cloud_makes_of_sams(emitted: Emitted, name: str) -> None:
    out = emitted(name)
    found = json.loads((out / "cdk" / "template.json").read_text("utf-8"))
    expected = read_sam(out)

    for section in ("Parameters", "Conditions", "Rules", "Outputs"):
        assert found[section] == expected[section], section
    types = {_name(key): each["Type"] for key, each in expected["Resources"].items()}
    assert {_name(key): each["Type"] for key, each in found["Resources"].items()} == types
    assert "Transform" not in found


def _name(key: str) -> str:
    """Return a name without the digest at its end."""
    return next((start for start in _HASHED if key.startswith(start)), key)


def test_a_rollout_goes_by_its_parameter(emitted: Emitted) -> None:
    """SAM's transform puts the parameter's default there."""
    text = (emitted("http-api with jwt and a canary") / "cdk" / "template.json").read_text("utf-8")
    group = json.loads(text)["Resources"]["FunctionDeploymentGroup"]["Properties"]

    assert group["DeploymentConfigName"] == {
        "Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": {"Ref": "Rollout"}}]
    }


@pytest.mark.parametrize("name", list(BUILDS))
def test_every_parameter_is_asked_by_something(emitted: Emitted, name: str) -> None:
    template = json.loads((emitted(name) / "cdk" / "template.json").read_text("utf-8"))
    asked = json.dumps([template["Resources"], template["Conditions"]])

    silent = [
        key
        for key in template["Parameters"]
        if f'{{"Ref": "{key}"}}' not in asked and f"${{{key}}}" not in asked
    ]
    assert silent == []


def test_another_model_has_another_version(emitted: Emitted) -> None:
    """CloudFormation publishes a version where the name of one is new: it hangs on the code."""
    names = {
        next(key for key in _read(emitted(name)) if key.startswith("FunctionVersion"))
        for name in ("http-api", "hostile names")
    }

    assert len(names) == 2


def _read(out: Path) -> Mapping[str, Any]:
    template = json.loads((out / "cdk" / "template.json").read_text("utf-8"))
    resources: Mapping[str, Any] = template["Resources"]
    return resources


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python with what the app requires; it is removed at the end, as it has 250 MB."""
    if shutil.which("node") is None:
        pytest.skip("CDK needs Node, which is not installed")
    folder = tmp_path_factory.mktemp("cdk") / "environment"
    requirements = resources.TEMPLATES / "aws_lambda" / "_cdk" / "requirements.txt"
    uv_command.run(["venv", "--python", sys.executable, folder])
    uv_command.run(["pip", "install", "--python", folder, "-r", requirements])
    yield folder / "bin" / "python"
    shutil.rmtree(folder)


def _synthesise(python: Path, out: Path, tmp_path: Path, **context: str) -> dict[str, Any]:
    """Return the stack that the app writes, as `cdk synth` has it do."""
    settings = json.loads((out / "cdk" / "cdk.json").read_text("utf-8"))
    made = tmp_path / "cdk.out"
    subprocess.run(
        [python, "app.py"],
        cwd=out / "cdk",
        env={
            **os.environ,
            "CDK_CONTEXT_JSON": json.dumps(settings["context"] | context),
            "CDK_OUTDIR": str(made),
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        },
        check=True,
        capture_output=True,
        timeout=240,
    )
    (stack,) = made.glob("*.template.json")
    found: dict[str, Any] = json.loads(stack.read_text("utf-8"))
    return found


def _order(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return resources without what CDK writes in an order of its own: tags, and one dependency."""
    found = {}
    for key, each in resources.items():
        properties = dict(each["Properties"])
        if isinstance(properties.get("Tags"), list):
            properties["Tags"] = {tag["Key"]: tag["Value"] for tag in properties["Tags"]}
        wanted = each.get("DependsOn", [])
        listed = [wanted] if isinstance(wanted, str) else wanted
        found[key] = {**each, "Properties": properties, "DependsOn": listed}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["http-api with jwt and a canary", "image with a rollout"])
def test_the_app_keeps_all_but_the_code(
    emitted: Emitted, python: Path, tmp_path: Path, name: str
) -> None:
    out = emitted(name)
    expected = json.loads((out / "cdk" / "template.json").read_text("utf-8"))

    found = _synthesise(python, out, tmp_path)

    codes = {}
    for key in ("Function", "RolloutCheck"):
        codes[key] = found["Resources"][key]["Properties"].pop("Code")
        expected["Resources"][key]["Properties"].pop("Code")
    assert _order(found["Resources"]) == _order(expected["Resources"])
    for section in ("Conditions", "Rules", "Outputs"):
        theirs = {key: found[section][key] for key in expected[section]}
        assert theirs == expected[section], section
    assert expected["Parameters"].items() <= found["Parameters"].items()
    assert codes["RolloutCheck"].keys() == {"S3Bucket", "S3Key"}
    wanted = {"ImageUri"} if "image" in name else {"S3Bucket", "S3Key"}
    assert codes["Function"].keys() == wanted


@pytest.mark.slow
def test_code_may_stay_in_a_bucket(emitted: Emitted, python: Path, tmp_path: Path) -> None:
    stored = {"code_bucket": "mine", "code_key": "a/function.zip", "code_version": "v1"}

    found = _synthesise(python, emitted("http-api"), tmp_path, **stored)

    assert found["Resources"]["Function"]["Properties"]["Code"] == {
        "S3Bucket": "mine",
        "S3Key": "a/function.zip",
        "S3ObjectVersion": "v1",
        "S3ObjectStorageMode": "REFERENCE",
    }
    with pytest.raises(subprocess.CalledProcessError):
        _synthesise(python, emitted("http-api"), tmp_path / "other", code_bucket="mine")
