"""The bill of materials lists what is in the function, and is valid CycloneDX 1.6."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.pipeline.emit.bill_of_materials import sbom
from packager.pipeline.emit.bill_of_materials._wheels import wheel_digests
from packager.pipeline.package import package
from packager.types import Architecture
from tests import fake_plan

_MORE = {
    "old-1.0.dist-info/METADATA": (
        b"Metadata-Version: 2.1\nName: old\nVersion: 1.0\nLicense: "
        b"Permission is hereby granted\n        and so on\n"
        b"Classifier: License :: OSI Approved :: MIT License\n\nbody\n"
    ),
    "short-2.dist-info/METADATA": (
        b"Metadata-Version: 2.1\nName: Short_Thing\nVersion: 2\nLicense: BSD\n"
    ),
    "none-3.dist-info/METADATA": b"Metadata-Version: 2.1\nName: none\nVersion: 3\n",
    "both-4.dist-info/METADATA": (
        b"Metadata-Version: 2.4\nName: both\nVersion: 4\nLicense-Expression: MIT AND Apache-2.0\n"
    ),
    "odd-5.dist-info/METADATA": b"Name: odd\nVersion: 5\nLicense: \xff\xfe what?\n",
}


def _sbom(base: Path, **changes: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    plan = fake_plan.plan(**changes)
    root = fake_plan.tree(base / "tree", plan, _MORE)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    artifact = package(verified, plan, out)
    text = sbom(artifact, verified, plan)
    return text, {part["name"]: part for part in json.loads(text)["components"]}


def find_error(text: str) -> object | None:
    # nine seconds, for one process of those that collect tests
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def test_it_is_valid(tmp_path: Path) -> None:
    text, _ = _sbom(tmp_path)

    assert find_error(text) is None


def test_the_validator_would_say_so(tmp_path: Path) -> None:
    broken = json.loads(_sbom(tmp_path)[0])
    broken["components"][0]["type"] = "sandwich"

    assert find_error(json.dumps(broken)) is not None


def test_every_installed_package_is_listed_with_its_wheel(tmp_path: Path) -> None:
    _, parts = _sbom(tmp_path)

    assert parts["numpy"]["purl"] == "pkg:pypi/numpy@2.5.5"
    assert parts["numpy"]["hashes"] == [{"alg": "SHA-256", "content": "2" * 64}]
    assert {"old", "short-thing", "none", "both", "odd"} <= set(parts)


@pytest.mark.parametrize(
    ("name", "licences"),
    [
        ("numpy", [{"license": {"id": "BSD-3-Clause"}}]),
        ("old", [{"license": {"id": "MIT"}}]),
        ("short-thing", [{"license": {"name": "BSD"}}]),
        ("none", None),
        ("both", [{"expression": "MIT AND Apache-2.0"}]),
    ],
)
def test_licences_are_what_the_package_states(tmp_path: Path, name: str, licences: Any) -> None:
    assert _sbom(tmp_path)[1][name].get("licenses") == licences


def test_what_is_a_name_and_a_version_alone_is_no_part(tmp_path: Path) -> None:
    _, parts = _sbom(tmp_path, answered=(("none", "3"),))
    assert "none" not in parts
    assert "both" in parts


def test_the_model_and_the_handlers_are_parts_too(tmp_path: Path) -> None:
    _, parts = _sbom(tmp_path)

    assert parts["churn"]["type"] == "machine-learning-model"
    assert parts["churn"]["hashes"] == [{"alg": "SHA-256", "content": fake_plan.DIGEST}]
    assert parts["serverless-model-packager-handlers"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["lib/libgomp.so.1"]["type"] == "file"


def test_it_depends_on_the_artifact_alone(tmp_path: Path) -> None:
    one, two = _sbom(tmp_path / "a")[0], _sbom(tmp_path / "b")[0]
    other = _sbom(tmp_path / "c", model=fake_plan.model("other"))[0]

    assert one == two
    assert json.loads(one)["serialNumber"] != json.loads(other)["serialNumber"]
    assert "timestamp" not in one


def test_a_model_may_be_named_as_it_likes(tmp_path: Path) -> None:
    text, parts = _sbom(tmp_path, model=fake_plan.model('a"b\n日本', version=None))

    assert find_error(text) is None
    assert parts['a"b\n日本']["type"] == "machine-learning-model"


@pytest.mark.parametrize(
    ("architecture", "glibc", "digest"),
    [("x86_64", (2, 34), "2"), ("arm64", (2, 34), "3"), ("x86_64", (2, 26), "1")],
)
def test_the_wheel_is_the_one_that_an_installer_takes(
    architecture: Architecture, glibc: tuple[int, int], digest: str
) -> None:
    plan = fake_plan.plan(
        request=fake_plan.request(architecture=architecture),
        runtime=replace(fake_plan.RUNTIME, glibc=glibc),
    )

    assert wheel_digests(plan) == {("numpy", "2.5.5"): digest * 64}


def test_a_wheel_that_does_not_fit_is_not_claimed() -> None:
    runtime = replace(fake_plan.RUNTIME, python_minor="3.12")

    assert wheel_digests(fake_plan.plan(runtime=runtime)) == {}


@pytest.mark.parametrize("name", ["aws-lambda", "aws-lambda-image", "azure-functions"])
def test_packages_and_libraries_are_found_where_the_target_keeps_them(
    tmp_path: Path, name: str
) -> None:
    _, parts = _sbom(tmp_path, target=targets.load(name))

    assert {"numpy", "short-thing", "lib/libgomp.so.1"} <= parts.keys()


def test_libraries_that_wheels_bring_are_listed_with_their_package(tmp_path: Path) -> None:
    plan = fake_plan.plan()
    more = {
        "numpy.libs/libopenblas64_p-r0-742d56dc.3.20.so": b"\x7fELF blas",
        "numpy/lib/libnative.so.1": b"\x7fELF",
        "numpy/libcore.cpython-313-x86_64-linux-gnu.so": b"\x7fELF an extension",
        "numpy/libfast.abi3.so": b"\x7fELF an extension",
        "model/libmine.so": b"\x7fELF the author's",
    }
    root = fake_plan.tree(tmp_path / "tree", plan, more)
    out = tmp_path / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    artifact = package(verified, plan, out)
    found = json.loads(sbom(artifact, verified, plan))["components"]

    files = {part["name"]: part for part in found if part["type"] == "file"}
    owners = {
        name: [
            each["value"]
            for each in part.get("properties", ())
            if each["name"] in {"packager:package", "packager:wheel"}
        ]
        for name, part in files.items()
    }
    assert owners == {
        "lib/libgomp.so.1": [],
        "model/libmine.so": [],
        "numpy.libs/libopenblas64_p-r0-742d56dc.3.20.so": ["numpy", "pkg:pypi/numpy@2.5.5"],
        "numpy/lib/libnative.so.1": ["numpy", "pkg:pypi/numpy@2.5.5"],
    }
    digest = hashlib.sha256(b"\x7fELF blas").hexdigest()
    assert files["numpy.libs/libopenblas64_p-r0-742d56dc.3.20.so"]["hashes"] == [
        {"alg": "SHA-256", "content": digest}
    ]
