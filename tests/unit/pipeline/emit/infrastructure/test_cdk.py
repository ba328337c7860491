"""CDK's app has the template's resources as they are, and the artifact's code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

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
