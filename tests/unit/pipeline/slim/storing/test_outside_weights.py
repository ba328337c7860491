"""Weights moved out of the tree: which files, what the manifest says, and what ships."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handlers.manifest import FILENAME
from packager import targets
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.artifact.template_environment import read_environment
from packager.errors import ConfigurationError, PlanError, VerificationError
from packager.pipeline import sizes
from packager.pipeline.emit import _render_templates, emit
from packager.pipeline.emit._context import context
from packager.pipeline.emit._sizing import size
from packager.pipeline.package import package
from packager.pipeline.plan import _checks
from packager.pipeline.slim.storing.outside_weights import move_out
from packager.pipeline.verify import budget
from packager.types import (
    Artifact,
    BuildPlan,
    Bundle,
    Compute,
    Engine,
    FileRecord,
    Front,
    HostKind,
    InfrastructureTool,
    LoaderSpec,
    VerifiedBundle,
    Weights,
    change_request,
)
from tests import fake_plan, sam

LARGE = os.urandom(sizes.LEAST_WEIGHT_BYTES)
LIBRARY = b"\x7fELF" + LARGE
FILES = {
    "model/model.skops": LARGE,
    "model/data/a b;$(x)\n.bin": LARGE + b"2",
    "model/data/same.bin": LARGE,
    "model/data/small.bin": LARGE[1:],
    "model/data/words.json": b"{}",
    "model/code/table.bin": LARGE + b"3",
    "model/data/lib.so.6": LARGE + b"4",
    "model/data/tool": LIBRARY,
    "model/data/own.PY": LARGE + b"5",
    "numpy/core.bin": LARGE + b"6",
}
OUTSIDE = {"model.skops", "data/a b;$(x)\n.bin", "data/same.bin"}


def _plan(weights: Weights, *, limit: int = 1 << 30) -> BuildPlan:
    target = targets.load("aws-lambda")
    target = replace(target, limits=replace(target.limits, unzipped_bytes=limit))
    loader = LoaderSpec(loader="sklearn", options={"file": "model.skops", "code": ["code"]})
    return fake_plan.plan(request=fake_plan.request(weights=weights), target=target, loader=loader)


def _bundle(tmp_path: Path, plan: BuildPlan, files: dict[str, bytes] | None = None) -> Bundle:
    root = fake_plan.tree(tmp_path / "work" / "function", plan, FILES if files is None else files)
    return fake_plan.verified(root).bundle


def _build(tmp_path: Path, plan: BuildPlan) -> Path:
    bundle = move_out(_bundle(tmp_path, plan), plan)
    verified, out = VerifiedBundle(bundle=bundle, evidence=fake_plan.EVIDENCE), tmp_path / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.mark.parametrize("weights", [Weights.FETCH, Weights.MOUNT])
def test_large_files_of_the_model_without_code_are_moved(tmp_path: Path, weights: Weights) -> None:
    plan = _plan(weights)
    before = _bundle(tmp_path, plan)
    after = move_out(before, plan)
    told = json.loads((after.root / FILENAME).read_text())
    assert {each["path"] for each in told["weights"]} == OUTSIDE
    assert told["weights_from"] == weights
    assert after.weights_root is not None
    for each in told["weights"]:
        content = (after.weights_root / each["sha256"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == each["sha256"]
        assert len(content) == each["size_bytes"]
    left = {file.path.as_posix() for file in after.files}
    assert {file.path.as_posix() for file in before.files} - left == {
        f"model/{path}" for path in OUTSIDE
    }


@pytest.mark.parametrize(
    ("weights", "limit", "moved"),
    [
        (Weights.PACKAGE, 1, False),
        (Weights.AUTO, 1 << 30, False),
        (Weights.AUTO, 1, True),
        (Weights.FETCH, 1 << 30, True),
    ],
)
def test_auto_leaves_them_in_where_all_fits(
    tmp_path: Path, weights: Weights, limit: int, *, moved: bool
) -> None:
    plan = _plan(weights, limit=limit)
    assert bool(move_out(_bundle(tmp_path, plan), plan).weights) is moved


def test_a_model_without_large_files_stays_whole_and_the_evidence_says_so(tmp_path: Path) -> None:
    plan = _plan(Weights.FETCH)
    before = _bundle(tmp_path, plan, {})
    assert move_out(before, plan) is before
    assert "has no effect" in "".join(budget.list_weight_notes(before, plan))


def test_weights_that_would_fit_are_said(tmp_path: Path) -> None:
    plan = _plan(Weights.FETCH)
    notes = "".join(budget.list_weight_notes(move_out(_bundle(tmp_path, plan), plan), plan))
    assert "The weights would fit" in notes


def test_a_long_fetch_is_said_with_its_source(tmp_path: Path) -> None:
    plan = _plan(Weights.FETCH, limit=1)
    bundle = move_out(_bundle(tmp_path, plan), plan)
    large = replace(bundle, weights=(replace_size(bundle.weights[0], 3_000_000_000),))
    (note,) = budget.list_weight_notes(large, plan)
    assert "about 60 s at 50 MB/s (https://medium.com" in note
    assert sizes.choose_tmp_mb(large, plan) == 3008


def replace_size(file: FileRecord, size_bytes: int) -> FileRecord:
    return replace(file, size_bytes=size_bytes)


def test_a_tree_that_is_too_large_is_told_of_the_option(tmp_path: Path) -> None:
    plan = _plan(Weights.PACKAGE, limit=8 * len(LARGE))
    (finding,), _ = budget.check(_bundle(tmp_path, plan), plan)
    assert "or with --weights fetch: 3.1 MB of the model can lie outside" in finding.hint
    plan = _plan(Weights.PACKAGE, limit=4 * len(LARGE))
    (finding,), _ = budget.check(_bundle(tmp_path, plan), plan)
    assert "--weights" not in finding.hint


def test_data_of_a_graph_is_fetched_and_not_mounted(tmp_path: Path) -> None:
    files = {"model/model.onnx": b"graph", "model/model.data": LARGE}
    plan = _plan(Weights.MOUNT)
    with pytest.raises(PlanError, match=r"model/model\.data lies beside an ONNX graph"):
        move_out(_bundle(tmp_path / "mount", plan, files), plan)
    plan = _plan(Weights.FETCH)
    assert move_out(_bundle(tmp_path / "fetch", plan, files), plan).weights


@pytest.mark.parametrize("weights", [Weights.MOUNT, Weights.AUTO])
def test_a_share_of_azure_takes_what_is_too_large(tmp_path: Path, weights: Weights) -> None:
    target = targets.load("azure-functions")
    target = replace(target, limits=replace(target.limits, unzipped_bytes=4 * len(LARGE)))
    plan = replace(_plan(weights), target=target)
    bundle = move_out(_bundle(tmp_path, plan), plan)
    assert json.loads((bundle.root / FILENAME).read_text())["weights_from"] == "mount"
    assert len(bundle.weights) == len(OUTSIDE)
    assert (
        "which stands for the mounted file system"
        in budget.describe_weights(bundle, plan)["weights"]
    )
    assert list(budget.list_weight_notes(bundle, plan)) == []
    assert sizes.estimate_fetch_seconds(bundle, plan) == 0
    assert sizes.choose_tmp_mb(bundle, plan) == target.limits.tmp_bytes >> 20
    inside = replace(
        _plan(Weights.PACKAGE),
        target=replace(target, limits=replace(target.limits, unzipped_bytes=8 * len(LARGE))),
    )
    (finding,), _ = budget.check(_bundle(tmp_path / "inside", inside), inside)
    assert "or with --weights mount: 3.1 MB of the model can lie outside" in finding.hint


class TestArtifact:
    def test_weights_lie_beside_the_function_once_each(self, tmp_path: Path) -> None:
        out = _build(tmp_path, _plan(Weights.FETCH))
        assert sorted(each.name for each in (out / "weights").iterdir()) == sorted(
            {hashlib.sha256(FILES[f"model/{path}"]).hexdigest() for path in OUTSIDE}
        )
        assert not (out / "function" / "model" / "model.skops").exists()
        assert list_problems(verify_artifact(out)) == []

    def test_a_changed_byte_is_named_with_the_models_file(self, tmp_path: Path) -> None:
        out = _build(tmp_path, _plan(Weights.FETCH))
        digest = hashlib.sha256(FILES["model/data/a b;$(x)\n.bin"]).hexdigest()
        path = out / "weights" / digest
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (problem,) = list_problems(verify_artifact(out))
        assert f"weights/{digest} (data/a b;$(x)\n.bin) was changed" in problem
        path.unlink()
        assert "is missing" in list_problems(verify_artifact(out))[0]
        path.write_bytes(content)
        (out / "weights" / "more").write_bytes(b"")
        assert list_problems(verify_artifact(out)) == [
            "weights/more is not in model-manifest.json."
        ]

    def test_a_weight_that_the_bill_does_not_name_is_told(self, tmp_path: Path) -> None:
        out = _build(tmp_path, _plan(Weights.FETCH))
        document = json.loads((out / "sbom.cdx.json").read_text())
        gone = next(e for e in document["components"] if e["name"] == "model/model.skops")
        document["components"].remove(gone)
        (out / "sbom.cdx.json").write_text(json.dumps(document))
        problems = list_problems(verify_artifact(out))
        assert any("model/model.skops, which lies outside" in each for each in problems)

    def test_weights_changed_since_they_were_proven_are_not_packed(self, tmp_path: Path) -> None:
        plan = _plan(Weights.FETCH)
        bundle = move_out(_bundle(tmp_path, plan), plan)
        assert bundle.weights_root is not None
        (bundle.weights_root / bundle.weights[0].sha256).write_bytes(b"other")
        verified = VerifiedBundle(bundle=bundle, evidence=fake_plan.EVIDENCE)
        (tmp_path / "out").mkdir()
        with pytest.raises(VerificationError, match="differ from what was verified"):
            package(verified, plan, tmp_path / "out")

    def test_the_template_of_fetched_weights(self, tmp_path: Path) -> None:
        out = _build(tmp_path, _plan(Weights.FETCH))
        text = (out / "template.yaml").read_text()
        assert read_environment(out, HostKind.LAMBDA)["PACKAGER_WEIGHTS"].startswith("s3://")
        assert '- !Sub "arn:${AWS::Partition}:s3:::${WeightsBucket}/${WeightsPrefix}/*"' in text
        assert "FileSystemConfigs" not in text

    def test_the_template_of_mounted_weights_has_no_snapstart(self, tmp_path: Path) -> None:
        out = _build(tmp_path, _plan(Weights.MOUNT))
        text = (out / "template.yaml").read_text()
        assert read_environment(out, HostKind.LAMBDA)["PACKAGER_WEIGHTS"] == "/mnt/weights"
        assert "FileSystemConfigs" in text
        assert "SnapStart" not in text
        assert "WeightsBucket" not in text


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("weights", "there"),
    [
        (Weights.FETCH, "s3://${var.weights_bucket}/${var.weights_prefix}"),
        (Weights.MOUNT, "file_system_config {"),
    ],
)
def test_other_tools_have_the_weights_too(tmp_path: Path, weights: Weights, there: str) -> None:
    plan = _plan(weights)
    request = change_request(plan.request, emit=tuple(InfrastructureTool))
    out = _build(tmp_path, replace(plan, request=request))
    text = "".join(path.read_text() for path in sorted((out / "terraform").glob("*.tf")))
    assert there in text


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("aws-lambda-image", {"weights": Weights.FETCH}, "aws-lambda and azure-functions can have"),
        ("gpu-container", {"weights": Weights.AUTO}, "azure-functions can have them outside"),
        (
            "azure-functions",
            {"weights": Weights.FETCH},
            r"azure-functions takes mount, auto, package\. What is fetched lies on the disk",
        ),
        (
            "aws-lambda",
            {"weights": Weights.FETCH, "engine": Engine.MACHINE_CODE},
            "machine-code has none, its numbers are in the library",
        ),
        (
            "aws-lambda",
            {"weights": Weights.MOUNT, "compute": Compute.MANAGED_INSTANCES},
            "weights are always in the package",
        ),
    ],
)
def test_what_has_no_weights_outside_is_refused(
    target: str, settings: dict[str, object], said: str
) -> None:
    request = fake_plan.request(target=target, **settings)
    with pytest.raises(ConfigurationError, match=said):
        _checks.settings(request, targets.load(target))


def test_a_model_whose_files_alone_are_too_large_is_only_refused_with_them_inside() -> None:
    target = targets.load("aws-lambda")
    large = replace(fake_plan.model().files[0], size_bytes=300_000_000)
    model = fake_plan.model(files=(large,))
    with pytest.raises(PlanError, match="or --weights fetch, which has them outside"):
        _checks.size(model, target)
    with pytest.raises(PlanError, match="or --weights fetch, which has them outside"):
        _checks.size(model, target, engine=Engine.ONNX)
    _checks.size(model, target, engine=Engine.MACHINE_CODE)
    _checks.size(model, target, Weights.AUTO)
    # beside the weights /tmp has room to spare: 10 GiB of them would want more than it can have
    for size_bytes in (11 << 30, 10 << 30, (10 << 30) - 100_000_000):
        huge = fake_plan.model(files=(replace(large, size_bytes=size_bytes),))
        with pytest.raises(PlanError, match=r"has room for .*\n.*, or --weights mount"):
            _checks.size(huge, target, Weights.FETCH)
        _checks.size(huge, target, Weights.MOUNT)


@pytest.mark.few(1)
@pytest.mark.parametrize("weights", Weights)
def test_every_template_can_be_read(tmp_path: Path, weights: Weights) -> None:
    out = _build(tmp_path, _plan(weights))
    told = read_environment(out, HostKind.LAMBDA)
    assert ("PACKAGER_WEIGHTS" in told) is (weights in {Weights.FETCH, Weights.MOUNT})


_LONGEST = {
    "MemorySizeMb": "10240",
    "TimeoutSeconds": "1800",
    "LogLevel": "WARNING",
    "Traced": "/traced",
    "EphemeralStorageMb": "10240",
    "Snapshot": ", snap",
    "Network": f", {'0' * 17} {'0' * 17}",
    "Key": f", {'0' * 8}",
    "RoleId": "A" * 21,
    "Revision": "r" * 8,
}
_FUNCTION_S_OWN = {"CodeSigningConfigArn", "ProvisionedConcurrency", "ReservedConcurrency"}
"""Settings of the function or its alias: no version has them."""


@pytest.mark.few(1)
@pytest.mark.parametrize("front", [Front.REST_API, Front.NONE])
@pytest.mark.parametrize("weights", [Weights.FETCH, Weights.MOUNT])
def test_a_versions_description_has_room_for_the_longest_values(
    tmp_path: Path, weights: Weights, front: Front
) -> None:
    text, template = _read_template(tmp_path, weights, front)
    most = {name: int(each.get("MaxLength", 0)) for name, each in template["Parameters"].items()}
    longest = {
        **_LONGEST,
        "Path": f", {'p' * most.get('BasePath', 0)}",
        "WeightsBucket": "b" * 63,
        "WeightsPrefix": "p" * most.get("WeightsPrefix", 0),
        "AccessPoint": "f" * 40,
        "WeightsMountPath": "p" * most.get("WeightsMountPath", 0),
    }
    described = re.sub(r"\$\{(\w+)\}", lambda found: longest[found[1]], text)
    assert 0 < len(described) <= 256


@pytest.mark.few(1)
@pytest.mark.parametrize("front", [Front.REST_API, Front.NONE])
@pytest.mark.parametrize("weights", [Weights.PACKAGE, Weights.FETCH, Weights.MOUNT])
def test_whatever_a_version_freezes_makes_a_new_version(
    tmp_path: Path, weights: Weights, front: Front
) -> None:
    """The role is shared: a version that stays on the old value may not reach its weights."""
    _, template = _read_template(tmp_path, weights, front)
    properties = template["Resources"]["Function"]["Properties"]
    frozen = {key: each for key, each in properties.items() if key != "VersionDescription"}
    used = _list_parameters(frozen, template) - _FUNCTION_S_OWN

    assert used <= _list_parameters(properties["VersionDescription"], template)


@pytest.mark.parametrize(
    ("weights", "former", "value"),
    [
        (Weights.FETCH, "FormerWeights", "old-bucket/weights/old"),
        (
            Weights.MOUNT,
            "FormerAccessPointArn",
            f"arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-{'a' * 17}",
        ),
    ],
)
def test_versions_that_still_serve_keep_their_right_to_the_weights(
    tmp_path: Path, weights: Weights, former: str, value: str
) -> None:
    _, template = _read_template(tmp_path, weights, Front.NONE)
    (policy,) = [
        each
        for each in template["Resources"]["Role"]["Properties"]["Policies"]
        if each.get("PolicyName") in {"read-weights", "mount-weights"}
    ]
    assert former in _list_parameters(policy, template)
    assert template["Parameters"][former]["Default"] == ""
    assert re.fullmatch(template["Parameters"][former]["AllowedPattern"], value)
    assert not re.fullmatch(template["Parameters"][former]["AllowedPattern"], f"{value}/*")


@pytest.mark.few(1)
@pytest.mark.parametrize("weights", [Weights.PACKAGE, Weights.FETCH, Weights.MOUNT])
def test_the_page_tells_each_right_to_the_weights(tmp_path: Path, weights: Weights) -> None:
    _, template = _read_template(tmp_path, weights, Front.NONE)
    page = (tmp_path / "out" / "README.md").read_text()
    told = page.partition("## What it may do")[2].partition("\n## ")[0]
    policies = template["Resources"]["Role"]["Properties"]["Policies"]
    rights = {
        name
        for name in _list_parameters(policies, template)
        if "Weights" in name or "Former" in name
    }

    assert set(re.findall(r"(?:Weights|Former)\w+", told)) == rights
    assert ("needs no network" in told) is (weights is Weights.PACKAGE)
    assert ("reads no bucket" in told) is (weights is Weights.PACKAGE)
    assert ("| `weights/` |" in page) is (weights is not Weights.PACKAGE)
    assert ("DescribeMountTargets" in page) is (weights is Weights.MOUNT)


def test_the_page_deploys_with_the_tmp_that_larger_weights_need(tmp_path: Path) -> None:
    plan = _plan(Weights.FETCH)
    bundle = move_out(_bundle(tmp_path, plan), plan)
    large = tuple(replace(each, size_bytes=400 << 20) for each in bundle.weights)
    tmp_mb = sizes.choose_tmp_mb(replace(bundle, weights=large), plan)
    text = _render_page(replace(bundle, weights=large), plan)

    assert f"WeightsBucket=YOUR_BUCKET EphemeralStorageMb={tmp_mb} SnapStart=None\n" in text
    assert text.count("sam deploy --guided") == 1
    assert "are left of the" in text
    assert "from a snapshot (SnapStart)" not in text


@pytest.mark.parametrize("weights", [Weights.FETCH, Weights.MOUNT, Weights.PACKAGE])
def test_the_page_promises_a_snapshot_only_where_the_template_offers_one(
    weights: Weights, tmp_path: Path
) -> None:
    plan = _plan(weights)
    bundle = _bundle(tmp_path, plan)
    text = _render_page(bundle if weights is Weights.PACKAGE else move_out(bundle, plan), plan)

    assert ("from a snapshot (SnapStart)" in text) is (weights is not Weights.MOUNT)


@pytest.mark.parametrize(
    ("weights", "command"),
    [
        (Weights.FETCH, "aws s3 rm --recursive s3://YOUR_BUCKET/weights/churn/"),
        (Weights.MOUNT, 'for each in weights/*; do rm "YOUR_MOUNT/${each##*/}"; done'),
        (Weights.PACKAGE, None),
    ],
)
def test_the_page_removes_the_weights_too(
    weights: Weights, command: str | None, tmp_path: Path
) -> None:
    plan = _plan(weights)
    bundle = _bundle(tmp_path, plan)
    moved = bundle if weights is Weights.PACKAGE else move_out(bundle, plan)
    part = _render_page(moved, plan).partition("## Remove")[2].partition("\n## ")[0]
    lines = [line.strip() for line in part.splitlines() if line.startswith("    ")]

    assert lines == ["sam delete --stack-name churn", *([command] if command else [])]
    assert ("leaves the weights" in part) is (command is not None)


def test_a_long_name_leaves_room_for_its_prefix(tmp_path: Path) -> None:
    plan = replace(_plan(Weights.FETCH), model=fake_plan.model("m" * 200))
    prefix = sam.parse((_build(tmp_path, plan) / "template.yaml").read_text())["Parameters"][
        "WeightsPrefix"
    ]
    assert len(prefix["Default"]) <= prefix["MaxLength"]
    assert re.fullmatch(prefix["AllowedPattern"], prefix["Default"])


def _render_page(bundle: Bundle, plan: BuildPlan) -> str:
    folder = Path("/build/out/function")
    artifact = Artifact(
        path=folder.with_suffix(".zip"),
        folder=folder,
        sha256=fake_plan.DIGEST,
        size_bytes=1,
        unzipped_bytes=1,
    )
    verified = VerifiedBundle(bundle=bundle, evidence=fake_plan.EVIDENCE)
    values = context(artifact, verified, plan, size(plan, verified.evidence))
    return _render_templates(plan, values)["README.md"]


def _read_template(
    tmp_path: Path, weights: Weights, front: Front
) -> tuple[str, dict[str, dict[str, Any]]]:
    plan = _plan(weights)
    plan = replace(plan, request=change_request(plan.request, front=front))
    template = sam.parse((_build(tmp_path, plan) / "template.yaml").read_text())
    described = template["Resources"]["Function"]["Properties"]["VersionDescription"]
    return described["Fn::Sub"][0], template


def _list_parameters(value: object, template: Mapping[str, Mapping[str, object]]) -> set[str]:
    """The parameters that a value names, its conditions' too."""
    text = json.dumps(value)
    conditions = set(re.findall(r'"Fn::If": \["(\w+)"', text))
    named = {*re.findall(r"\$\{(\w+)\}", text), *re.findall(r'"Ref": "(\w+)"', text)}
    asked = [_list_parameters(template["Conditions"][each], template) for each in conditions]
    return (named & template["Parameters"].keys()).union(*asked)
