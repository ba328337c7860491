"""The template of a function on managed instances, and what its environments get by default."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import botocore.session
import pytest

from handlers.loaders import _sessions
from packager import targets
from packager.errors import ConfigurationError, VerificationError
from packager.pipeline.emit import emit
from packager.pipeline.emit._sizing import Sizing, size
from packager.pipeline.package import package
from packager.pipeline.plan import check
from packager.types import (
    BuildPlan,
    ColdStart,
    Compute,
    Device,
    FileRecord,
    Front,
    InfrastructureTool,
    Rollout,
)
from tests import fake_plan, sam

_GB: Final = 1 << 30
_GPU: Final = {"target": "aws-lambda-image", "device": Device.CUDA}


def _emitted(base: Path, plan: BuildPlan) -> Path:
    root = fake_plan.tree(base / "tree", plan)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = fake_plan.plan_on_instances(
        rollout=Rollout.CANARY, emit=(InfrastructureTool.CDK,), front=Front.NONE
    )
    return _emitted(tmp_path_factory.mktemp("managed"), plan)


@pytest.fixture(scope="module")
def on_gpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _emitted(tmp_path_factory.mktemp("gpu"), fake_plan.plan_on_instances(**_GPU))


def _plain(out: Path) -> dict[str, Any]:
    template = sam.uploaded((out / "template.yaml").read_text("utf-8"))
    if "RolloutCheck" in template["Resources"]:
        template["Resources"]["RolloutCheck"]["Properties"]["CodeUri"] = "s3://b/check.zip"
    if "ImageConfig" in template["Resources"]["Function"]["Properties"]:
        template["Resources"]["Function"]["Properties"].pop("CodeUri")
        template["Resources"]["Function"]["Properties"]["ImageUri"] = "1.dkr.ecr/a:b"
    return sam.transformed(template)


def _shape(name: str) -> Any:
    return botocore.session.get_session().get_service_model("lambda").shape_for(name)


def test_the_function_is_on_the_provider_and_has_what_lambda_takes_there(out: Path) -> None:
    resources = _plain(out)["Resources"]
    function = resources["Function"]["Properties"]
    placed = function["CapacityProviderConfig"]["LambdaManagedInstancesCapacityProviderConfig"]

    assert set(placed) == set(_shape("LambdaManagedInstancesCapacityProviderConfig").members)
    assert set(function["FunctionScalingConfig"]) == set(_shape("FunctionScalingConfig").members)
    absent = {"VpcConfig", "SnapStart", "ReservedConcurrentExecutions", "AcceleratorConfig"}
    assert not absent & set(function)
    assert "ProvisionedConcurrencyConfig" not in resources["FunctionAliaslive"]["Properties"]
    (version,) = (each for each in resources.values() if each["Type"] == "AWS::Lambda::Version")
    assert version["Properties"]["FunctionScalingConfig"] == function["FunctionScalingConfig"]
    assert version["DeletionPolicy"] == "Delete"


def test_the_provider_is_one_that_the_api_takes(out: Path) -> None:
    resources = _plain(out)["Resources"]
    provider = resources["CapacityProvider"]
    asked = _shape("CreateCapacityProviderRequest").members

    properties = provider["Properties"]
    assert provider["Condition"] == resources["OperatorRole"]["Condition"] == "MakesProvider"
    assert set(properties) <= {*asked}
    for name in ("VpcConfig", "PermissionsConfig", "InstanceRequirements"):
        assert set(properties[name]) <= set(asked[name].members), name
    scaling = _shape("CapacityProviderScalingConfig").members
    assert set(properties["CapacityProviderScalingConfig"]) <= set(scaling)
    (policy,) = resources["OperatorRole"]["Properties"]["ManagedPolicyArns"]
    assert policy["Fn::Sub"].endswith(":policy/AWSLambdaManagedEC2ResourceOperator")


@pytest.mark.parametrize(
    ("parameter", "shape"),
    [
        ("MaxVcpus", "CapacityProviderMaxVCpuCount"),
        ("MaxConcurrency", "PerExecutionEnvironmentMaxConcurrency"),
        ("MinEnvironments", "FunctionScalingConfigExecutionEnvironments"),
        ("MaxEnvironments", "FunctionScalingConfigExecutionEnvironments"),
    ],
)
def test_a_parameter_has_the_bounds_of_the_api(out: Path, parameter: str, shape: str) -> None:
    declared = _plain(out)["Parameters"][parameter]
    bounds = _shape(shape).metadata

    assert (declared["MinValue"], declared["MaxValue"]) == (bounds["min"], bounds["max"])
    assert bounds["min"] <= declared["Default"] <= bounds["max"]


def test_what_instances_do_not_have_is_no_parameter(out: Path) -> None:
    template = sam.parse((out / "template.yaml").read_text("utf-8"))

    gone = ("SnapStart", "ReservedConcurrency", "ProvisionedConcurrency", "ProvisionedFrom")
    assert not set(gone) & set(template["Parameters"])
    assert template["Parameters"]["MemorySizeMb"]["MinValue"] == 2048
    assert template["Parameters"]["MemorySizeMb"]["MaxValue"] == 32_768
    assert {"ProviderIsNamedOrMade", "ProviderHasItsOwnNetwork"} <= set(template["Rules"])


def test_a_gpu_is_asked_for_with_memory_for_the_weights(on_gpu: Path, out: Path) -> None:
    plain = _plain(on_gpu)
    declared = plain["Parameters"]["AcceleratorMemoryGb"]

    function = plain["Resources"]["Function"]["Properties"]
    assert function["AcceleratorConfig"] == {
        "AcceleratorMemorySize": {"Ref": "AcceleratorMemoryGb"}
    }
    assert set(function["AcceleratorConfig"]) == set(_shape("AcceleratorConfig").members)
    assert function["Environment"]["Variables"]["PACKAGER_DEVICE"] == "cuda"
    assert declared["Default"] in declared["AllowedValues"]
    assert "AcceleratorMemoryGb" not in _plain(out)["Parameters"]


def test_cdk_gets_the_same_resources(out: Path) -> None:
    written = json.loads((out / "cdk" / "template.json").read_text("utf-8"))["Resources"]

    assert set(written["Function"]["Properties"]) >= {
        "CapacityProviderConfig",
        "FunctionScalingConfig",
    }
    assert written["CapacityProvider"]["Type"] == "AWS::Lambda::CapacityProvider"
    page = (out / "README.md").read_text("utf-8")
    assert "npx aws-cdk destroy" in page
    assert "terraform destroy" not in page


def test_the_check_of_a_new_version_stays_on_demand(out: Path) -> None:
    check_function = _plain(out)["Resources"]["RolloutCheck"]["Properties"]

    assert "CapacityProviderConfig" not in check_function


def _size(peak_mb: int, plan: BuildPlan) -> Sizing:
    cold = ColdStart(
        init_wall_ms=400,
        init_cpu_ms=400,
        first_invoke_ms=20,
        warm_invoke_ms=1,
        peak_rss_bytes=peak_mb << 20,
    )
    return size(plan, fake_plan.evidence(cold_start=cold))


@pytest.mark.parametrize(
    ("peak_mb", "asked_mb", "concurrency", "memory_mb"),
    [
        (60, None, 16, 2048),
        (400, None, 16, 10_240),
        # 16 processes of 5,200 MB are more than an environment can have
        (4000, None, 6, 32_768),
        (400, 4096, 7, 4096),
        (30_000, None, 1, 32_768),
    ],
)
def test_each_request_at_once_has_the_memory_of_a_process(
    peak_mb: int, asked_mb: int | None, concurrency: int, memory_mb: int
) -> None:
    sizing = _size(peak_mb, fake_plan.plan_on_instances(memory_mb=asked_mb))

    assert sizing.instances is not None
    assert (sizing.instances.concurrency, sizing.memory_mb) == (concurrency, memory_mb)


@pytest.mark.parametrize(
    ("weights", "accelerator_gb"), [(1000, 3), (2 * _GB, 6), (16 * _GB, 24), (30 * _GB, 48)]
)
def test_a_gpu_has_memory_for_the_weights_that_were_measured(
    weights: int, accelerator_gb: int
) -> None:
    plan = fake_plan.plan_on_instances(**_GPU)
    files = (FileRecord(PurePosixPath("weights"), fake_plan.DIGEST, weights),)
    sizing = _size(400, replace(plan, model=replace(plan.model, files=files)))

    assert sizing.instances is not None
    assert (sizing.instances.concurrency, sizing.instances.accelerator_gb) == (1, accelerator_gb)


def test_a_model_that_no_gpu_there_holds_is_refused() -> None:
    plan = fake_plan.plan_on_instances(**_GPU)
    files = (FileRecord(PurePosixPath("weights"), fake_plan.DIGEST, 60 * _GB),)

    with pytest.raises(VerificationError, match="48 GB at most"):
        _size(400, replace(plan, model=replace(plan.model, files=files)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"python_minor": "3.12"}, "managed instances has no such runtime (3.13, 3.14)"),
        ({"memory_mb": 1024}, "managed instances takes 2048 to 32768 MB"),
        ({"timeout_seconds": 6000}, "managed instances takes 1 to 5400 seconds"),
        (
            {
                "target": "aws-lambda-image",
                "device": Device.CUDA,
                "emit": (InfrastructureTool.TERRAFORM,),
            },
            "memory of a GPU; sam deploys it, or --emit cdk.",
        ),
        ({"device": Device.CUDA}, "aws-lambda on managed instances has cpu alone"),
        ({"target": "azure-functions"}, "--compute managed-instances: azure-functions has"),
        ({"target": "gpu-container"}, "aws-lambda-image have managed instances"),
        (
            {"target": "aws-lambda-image", "device": Device.CUDA, "architecture": "arm64"},
            "taken for x86_64 alone",
        ),
        (
            {"target": "aws-lambda-image", "device": Device.CUDA, "compute": Compute.ON_DEMAND},
            "aws-lambda-image with --compute managed-instances",
        ),
    ],
)
def test_what_instances_do_not_take_is_refused_before_a_build(
    settings: dict[str, Any], words: str
) -> None:
    given = {"compute": Compute.MANAGED_INSTANCES, **settings}

    with pytest.raises(ConfigurationError) as refused:
        check(fake_plan.request(**given))
    assert words in str(refused.value)


def test_nothing_starts_from_a_snapshot_there() -> None:
    adapted = targets.load_for(fake_plan.plan_on_instances().request.target)

    assert not any(each.snapstart or each.snapstart_by_label for each in adapted.runtimes)
    assert all(each.snapstart for each in targets.load("aws-lambda").runtimes[-2:])


def test_a_process_of_several_has_one_thread() -> None:
    told = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "10240"}

    assert _sessions.threads({**told, "AWS_LAMBDA_MAX_CONCURRENCY": "16"}) == 1
    alone = _sessions.threads({**told, "AWS_LAMBDA_MAX_CONCURRENCY": "1"})
    assert alone == _sessions.threads(told)


def test_memory_is_whole_vcpus_of_what_comes_with_one(out: Path, on_gpu: Path) -> None:
    for folder, gib in ((out, 2), (on_gpu, 4)):
        parameters = sam.parse((folder / "template.yaml").read_text("utf-8"))["Parameters"]
        memory = parameters["MemorySizeMb"]

        assert parameters["MemoryGibPerVcpu"]["Default"] == gib
        assert memory["Default"] % (gib * 1024) == 0
        assert memory["MinValue"] >= gib * 1024
        vcpus = memory["Default"] // (gib * 1024)
        kept = parameters["MinEnvironments"]["Default"]
        assert parameters["MaxVcpus"]["Default"] >= 2 * vcpus * kept


def test_what_was_not_measured_has_a_usual_process_for_each_request() -> None:
    sizing = size(fake_plan.plan_on_instances(), fake_plan.evidence(cold_start=None))

    assert sizing.instances is not None
    assert sizing.memory_mb >= 1024 * sizing.instances.concurrency
    assert "nothing was measured" in sizing.memory_reason


def test_a_version_s_description_has_room_for_the_longest_values(out: Path, on_gpu: Path) -> None:
    longest = {
        "MemorySizeMb": "32768",
        "TimeoutSeconds": "5400",
        "LogLevel": "WARNING",
        "Tracing": "disabled",
        "EphemeralStorageMb": "32768",
        "MaxConcurrency": "1600",
        "MemoryGibPerVcpu": "8",
        "MinEnvironments": "15000",
        "MaxEnvironments": "15000",
        "AcceleratorMemoryGb": "48",
        "Path": f", {'0' * 30}",
        "Provider": f", {'0' * 79}",
        "Key": f", {'0' * 8}",
        "RoleId": "A" * 21,
        "Revision": "r" * 8,
    }
    for folder in (out, on_gpu):
        template = sam.parse((folder / "template.yaml").read_text("utf-8"))
        text, parts = template["Resources"]["Function"]["Properties"]["VersionDescription"][
            "Fn::Sub"
        ]
        named = set(re.findall(r"\$\{(\w+)\}", text))
        assert parts.keys() <= named <= longest.keys()
        for name in named:
            text = text.replace(f"${{{name}}}", longest[name])
        assert len(text) <= 256
