"""A function that is deployed as an image: as the zip, but for how it is packed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.errors import ConfigurationError
from packager.pipeline.emit import emit
from packager.pipeline.emit._context import _HEALTH_PROGRAM
from packager.pipeline.package import package
from packager.pipeline.plan import check
from packager.system.file_tree import digest, records
from packager.types import BuildPlan, BuildReport, Front
from tests import fake_plan, sam
from tests.osv import serving

_PINNED = "registry.example.org/python@sha256:" + "c" * 64


def _plan(minor: str = "3.13", **changes: Any) -> BuildPlan:
    target = targets.load("aws-lambda-image")
    request = fake_plan.request(target=target.name, **changes)
    runtime = next(each for each in target.runtimes if each.python_minor == minor)
    return fake_plan.plan(request=request, target=target, runtime=runtime)


def _emitted(base: Path, plan: BuildPlan) -> BuildReport:
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    out = base / "out"
    out.mkdir()
    return emit(package(verified, plan, out), verified, plan, out)


def _uploaded(text: str) -> dict[str, Any]:
    """The template as `sam package` leaves it: the image in a repository."""
    template = sam.parse(text)
    template["Resources"]["Function"]["Properties"]["ImageUri"] = (
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/functions:v1"
    )
    return template


def test_the_folder_is_what_is_deployed_and_has_no_zip_beside_it(tmp_path: Path) -> None:
    artifact = _emitted(tmp_path, _plan()).artifact

    assert artifact.path == artifact.folder
    assert artifact.sha256 == digest(records(artifact.folder))
    assert artifact.size_bytes == artifact.unzipped_bytes
    assert {"Dockerfile", ".dockerignore", "template.yaml", "samconfig.toml"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert not list((tmp_path / "out").glob("*.zip"))
    assert "function.zip" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.few(0)
@pytest.mark.parametrize("front", list(Front))
def test_cfn_lint_finds_nothing(tmp_path: Path, front: Front) -> None:
    _emitted(tmp_path, _plan(front=front))
    text = (tmp_path / "out" / "template.yaml").read_text(encoding="utf-8")

    function = sam.transformed(_uploaded(text))["Resources"]["Function"]["Properties"]

    assert sam.lint(text) == []
    assert function["PackageType"] == "Image"
    assert function["ImageConfig"] == {"Command": ["handlers.aws_lambda.handler"]}
    assert {"Runtime", "Handler", "Layers"} & set(function) == set()
    # as the parameter says, which is the default
    assert function["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, "public.ecr.aws/lambda/python:3.13-x86_64"), (_PINNED, _PINNED)],
)
def test_the_base_is_named_by_an_argument(tmp_path: Path, asked: str | None, expected: str) -> None:
    _emitted(tmp_path, _plan(base_image=asked))
    dockerfile = (tmp_path / "out" / "Dockerfile").read_text(encoding="utf-8")
    template = sam.parse((tmp_path / "out" / "template.yaml").read_text(encoding="utf-8"))

    assert f"ARG BASE_IMAGE={expected}\n" in dockerfile
    built = template["Resources"]["Function"]["Metadata"]
    assert built["DockerBuildArgs"] == {"BASE_IMAGE": expected}
    assert built["Dockerfile"] == "Dockerfile"


def test_a_base_is_pinned_to_the_digest_that_its_registry_gave(tmp_path: Path) -> None:
    _emitted(tmp_path, replace(_plan(), base_digest="sha256:" + "b" * 64))
    dockerfile = (tmp_path / "out" / "Dockerfile").read_text(encoding="utf-8")

    pinned = "public.ecr.aws/lambda/python:3.13-x86_64@sha256:" + "b" * 64
    assert f"ARG BASE_IMAGE={pinned}\n" in dockerfile
    assert "named by its digest" in dockerfile
    assert "HEALTHCHECK NONE" in dockerfile


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_a_container_s_health_is_that_of_its_server(status: int, code: int) -> None:
    with serving(lambda *_: (status, {}, b"")) as service:
        port = service.url.rpartition(":")[2]
        done = subprocess.run(
            [sys.executable, "-P", "-s", "-c", _HEALTH_PROGRAM],
            env={"PORT": port, "http_proxy": "http://127.0.0.1:1"},
            capture_output=True,
            check=False,
        )

    assert min(done.returncode, 1) == code


def test_the_container_s_dockerfile_asks_for_its_health(tmp_path: Path) -> None:
    target = targets.load("gpu-container")
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    request = fake_plan.request(target=target.name)
    _emitted(tmp_path, fake_plan.plan(request=request, target=target, runtime=runtime))
    dockerfile = (tmp_path / "out" / "Dockerfile").read_text(encoding="utf-8")

    (found,) = re.findall(r"(?m)^HEALTHCHECK .*\\\n    CMD (\[.*\])$", dockerfile)
    command = json.loads(found)
    assert command[0] == "python3"
    assert command[-2:] == ["-c", _HEALTH_PROGRAM]


def test_the_model_is_the_last_thing_that_is_copied(tmp_path: Path) -> None:
    _emitted(tmp_path, _plan())
    lines = (tmp_path / "out" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    final = lines[[i for i, line in enumerate(lines) if line.startswith("FROM")][-1] :]

    copied = [line.split()[2] for line in final if line.startswith("COPY")]
    assert copied == ["/parts/packages/", "/parts/model/"]
    assert [line for line in final if line.startswith("USER")] == ["USER 65534:65534"]


@pytest.mark.parametrize(("minor", "brings"), [("3.9", True), ("3.13", False)])
def test_a_base_without_a_runtime_client_starts_the_function_s(
    tmp_path: Path, *, minor: str, brings: bool
) -> None:
    _emitted(tmp_path, _plan(minor))
    text = (tmp_path / "out" / "Dockerfile").read_text(encoding="utf-8")
    start = 'ENTRYPOINT ["python3", "-m", "awslambdaric"]\n'
    assert (start in text, "PYTHONPATH=/var/task" in text) == (brings, brings)
    assert text.endswith('USER 65534:65534\nCMD ["handlers.aws_lambda.handler"]\n')


@pytest.mark.parametrize(
    ("minor", "asked", "labelled"),
    [
        ("3.13", None, False),
        ("3.12", None, False),
        ("3.11", None, True),
        ("3.9", None, True),
        ("3.13", _PINNED, True),
    ],
)
def test_an_image_on_another_base_says_that_it_may_start_from_a_snapshot(
    tmp_path: Path, *, minor: str, asked: str | None, labelled: bool
) -> None:
    _emitted(tmp_path, _plan(minor, base_image=asked))
    text = (tmp_path / "out" / "Dockerfile").read_text(encoding="utf-8")
    lines = text[text.rindex("\nFROM") :].splitlines()

    label = 'LABEL com.amazonaws.lambda.feature.snapstart="Allow"'
    assert (label in lines) is labelled
    template = (tmp_path / "out" / "template.yaml").read_text(encoding="utf-8")
    assert sam.parse(template)["Parameters"]["SnapStart"]["Default"] == "PublishedVersions"


@pytest.mark.parametrize("asked", [None, _PINNED])
def test_an_image_whose_client_has_no_hooks_does_not_start_from_a_snapshot(
    tmp_path: Path, asked: str | None
) -> None:
    """The last runtime client for Python 3.8 is of before SnapStart."""
    _emitted(tmp_path, _plan("3.8", base_image=asked))
    out = tmp_path / "out"

    assert "snapstart" not in (out / "Dockerfile").read_text(encoding="utf-8").lower()
    template = sam.parse((out / "template.yaml").read_text(encoding="utf-8"))
    assert "SnapStart" not in template["Parameters"]
    assert "SnapStart" not in template["Resources"]["Function"]["Properties"]


def test_the_base_counts_against_the_ceiling() -> None:
    plan = _plan()
    base = plan.target.deployment.base_image
    assert base is not None
    assert plan.target.limits.unzipped_bytes + base.size_bytes == 10_000_000_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "aws-lambda", "base_image": _PINNED}, "deployed as a zip"),
        ({"target": "aws-lambda-image", "base_image": "a b"}, "is no image's name"),
        ({"target": "aws-lambda-image", "base_image": "x@sha256:12"}, "is no image's name"),
    ],
)
def test_a_base_that_cannot_be_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check(fake_plan.request(**changes))
