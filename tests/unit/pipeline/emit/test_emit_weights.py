"""The template of a function whose weights lie outside of it: valid with all that goes with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

import botocore.session
import pytest
from botocore.model import StructureShape

from packager import targets
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import FileRecord, Front, Rollout, Weights
from tests import fake_plan, sam
from tests.unit.pipeline.emit.test_emit_callers import _ACCOUNT
from tests.unit.pipeline.emit.test_emit_sources import MUTE, NEEDED

_EFS: Final = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
_S3_FILES: Final = (
    "arn:aws:s3files:us-east-1:123456789012:file-system/fs-0123456789abcdef0/"
    "access-point/fsap-0123456789abcdef0"
)
_PARAMETERS: Final[Mapping[Weights, Mapping[str, Any]]] = {
    Weights.FETCH: {"WeightsBucket": "weights", "WeightsPrefix": "weights/churn"},
    Weights.MOUNT: {"WeightsAccessPointArn": _EFS},
}
_ASKED: Final[Mapping[str, Mapping[str, Any]]] = {
    "canary": {"front": Front.HTTP_API, "rollout": Rollout.CANARY},
    "url": {"front": Front.FUNCTION_URL, "rollout": Rollout.LINEAR},
    "events": {
        "front": Front.REST_API,
        "events": (*MUTE, "stepfunctions"),
        "output_to": "s3://answers/churn",
        "once": True,
        "batch": True,
    },
}
_NO_FAULTS: Final = (
    # the transform has put its value in each place already
    "W2001: Parameter Rollout not used",
    # S3 Files is newer than the list of services in cfn-lint 1.x
    "W3037: 's3files' is not one of",
)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Weights, str], str]:
    target = targets.load("aws-lambda")
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    found = {}
    for way in _PARAMETERS:
        for name, asked in _ASKED.items():
            base = tmp_path_factory.mktemp(name)
            request = fake_plan.request(weights=way, **asked)
            plan = fake_plan.plan(request=request, target=target, runtime=runtime)
            verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
            out = base / "out"
            out.mkdir()
            artifact = package(verified, plan, out)
            listed = FileRecord(PurePosixPath("model.pkl"), fake_plan.DIGEST, 700 << 20)
            bundle = replace(verified.bundle, weights=(listed,), weights_root=base)
            emit(artifact, replace(verified, bundle=bundle), plan, out)
            found[way, name] = (out / "template.yaml").read_text("utf-8")
    return found


def _transform(text: str, given: Mapping[str, Any]) -> dict[str, Any]:
    template = sam.uploaded(text)
    if "RolloutCheck" in template["Resources"]:
        template["Resources"]["RolloutCheck"]["Properties"]["CodeUri"] = "s3://bucket/rollout.zip"
    return sam.transformed(template, {**NEEDED, **given})


@pytest.mark.few(0)
@pytest.mark.parametrize("name", ["canary", "events"])
@pytest.mark.parametrize("way", _PARAMETERS)
def test_cfn_lint_finds_nothing_in_the_transformed_form(
    texts: dict[tuple[Weights, str], str], way: Weights, name: str
) -> None:
    template = _transform(texts[way, name], {**_ACCOUNT, **_PARAMETERS[way]})

    found = [each for each in sam.lint(json.dumps(template)) if not each.startswith(_NO_FAULTS)]
    assert found == []


@pytest.mark.few(0)
@pytest.mark.parametrize("way", _PARAMETERS)
def test_cfn_lint_finds_nothing_in_the_sam_form(
    texts: dict[tuple[Weights, str], str], way: Weights
) -> None:
    found = [each for each in sam.lint(texts[way, "canary"]) if not each.startswith(_NO_FAULTS)]
    assert found == []


@pytest.mark.parametrize("name", _ASKED)
def test_a_mounting_function_may_read_and_not_write(
    texts: dict[tuple[Weights, str], str], name: str
) -> None:
    given = {**_ACCOUNT, **_PARAMETERS[Weights.MOUNT]}
    made = _transform(texts[Weights.MOUNT, name], given)["Resources"]

    mounting = [
        statement["Action"]
        for _, statement in _list_statements(made)
        if str(statement["Action"]).startswith(("elasticfilesystem:", "s3files:"))
    ]
    function = made["Function"]["Properties"]
    assert mounting == ["elasticfilesystem:ClientMount", "s3files:ClientMount"]
    assert "SnapStart" not in function
    assert function["VpcConfig"]["Fn::If"][0] == "IsInVpc"
    assert function["FileSystemConfigs"] == [
        {"Arn": {"Ref": "WeightsAccessPointArn"}, "LocalMountPath": {"Ref": "WeightsMountPath"}}
    ]
    variables = function["Environment"]["Variables"]
    assert variables["PACKAGER_WEIGHTS"] == {"Ref": "WeightsMountPath"}


def _list_statements(made: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each statement that roles of the template have without a condition, by the role's name."""
    for name, each in made.items():
        if each["Type"] == "AWS::IAM::Role":
            for policy in each["Properties"].get("Policies", ()):
                for statement in policy.get("PolicyDocument", {}).get("Statement", ()):
                    yield name, statement


@pytest.mark.parametrize(
    "value",
    [
        *(_EFS, _S3_FILES),
        _EFS.replace(":aws:", ":aws-us-gov:").replace("us-east-1", "us-gov-west-1"),
        *("", "fsap-0123456789abcdef0", _EFS[:-1], _S3_FILES[:-1], f"{_EFS}/"),
        _S3_FILES.replace("fs-0123456789abcdef0", "fs-01"),
    ],
)
def test_an_access_point_is_taken_where_lambda_takes_it(
    texts: dict[tuple[Weights, str], str], value: str
) -> None:
    spec = sam.parse(texts[Weights.MOUNT, "canary"])["Parameters"]["WeightsAccessPointArn"]
    model = botocore.session.get_session().get_service_model("lambda")
    shape = model.shape_for("FileSystemConfig")
    assert isinstance(shape, StructureShape)
    theirs = shape.members["Arn"].metadata["pattern"]

    taken = re.fullmatch(spec["AllowedPattern"], value) is not None
    assert taken is (re.fullmatch(theirs, value) is not None)
