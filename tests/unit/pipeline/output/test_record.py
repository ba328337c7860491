"""The options of a build as its report has them, and the request that they come to again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.pipeline.output.record import read_options, record_options, request_again
from packager.types import (
    BuildRequest,
    Compute,
    Device,
    Engine,
    Front,
    HttpAuth,
    InfrastructureTool,
    ModelOptions,
    OutputOptions,
    Rollout,
    Severity,
    Shipped,
    Tier,
    Weights,
    change_request,
    list_settings,
    make_request,
)

_EACH: dict[str, Any] = {
    "upgrade_pins": True,
    "target": "azure-functions",
    "architecture": "arm64",
    "python_minor": "3.12",
    "memory_mb": 700,
    "timeout_seconds": 9,
    "base_image": "a@sha256:b",
    "device": Device.CPU,
    "driver": "580",
    "weights": Weights.FETCH,
    "compute": Compute.MANAGED_INSTANCES,
    "rollout": Rollout.CANARY,
    "emit": (InfrastructureTool.CDK,),
    "engine": Engine.ONNX,
    "tier": Tier.STUB,
    "rtol": 0.1,
    "atol": 0,
    "front": Front.NONE,
    "auth": HttpAuth.JWT,
    "opentelemetry": True,
    "events": ("sqs", "s3"),
    "output_to": "s3://a/b",
    "once": True,
    "batch": True,
    "rows": 5,
    "seed": 2,
    "passes": (),
    "keep": ("*.a",),
    "requirements": Shipped.DECLARED,
    "keep_packages": ("six",),
    "trace": False,
    "optimize": 2,
    "audit": True,
    "require_audit": True,
    "audit_severity": Severity.HIGH,
    "ignore_vulnerabilities": ("CVE-2026-1=no",),
    "vulnerable_code": ("CVE-2026-1=a.b",),
    "deny_licenses": ("GPL-3.0*",),
}
_ELSEWHERE = {"model_uri", "tracking_uri", "registry_uri", "out_dir", "reuse", "refresh"}
_ELSEWHERE |= {"osv_url", "refresh_audit", "arm64_python"}
_TRUSTING = {"allow_network": True, "trust_model_index": True, "allow_unproven": True}


def _read_back(request: BuildRequest) -> object:
    """What JSON made of the record."""
    return json.loads(json.dumps(record_options(request)))


def test_a_build_without_options_records_none() -> None:
    assert record_options(make_request("models:/x/1", tracking_uri="http://a", refresh=True)) == {}


def test_every_setting_is_recorded_and_read_again(tmp_path: Path) -> None:
    (file := tmp_path / "rows.csv").write_text("x\n1\n")
    (facts := tmp_path / "facts").mkdir()
    (facts / "quotas.toml").write_text("")
    files = {"example": file, "baseline": file, "facts_dir": facts}
    every = {**_EACH, **_TRUSTING, **files}
    assert every.keys() | _ELSEWHERE == {name for name, _, _ in list_settings()}
    request = make_request("models:/x/1", **every)
    trusting = make_request("models:/x/1", **_TRUSTING)

    record = _read_back(request)

    assert request_again(trusting, record, files) == request
    assert str(tmp_path) not in json.dumps(record)


def test_what_a_build_added_itself_is_no_option() -> None:
    request = replace(
        make_request("models:/x/1", keep_packages=("mine", "missed")), added_packages=("missed",)
    )

    assert record_options(request) == {"keep_packages": ["mine"]}


@pytest.mark.parametrize("name", sorted(_TRUSTING))
def test_a_record_is_no_reason_to_trust(name: str) -> None:
    plain = BuildRequest(model=ModelOptions(uri="models:/x/1"), output=OutputOptions(reuse=False))

    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}"):
        request_again(plain, {name: True}, {})
    given = change_request(plain, **{name: True})
    assert request_again(given, {name: True}, {}) == given


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "no table"),
        ({"rows": "5"}, "rows"),
        ({"rows": True}, "rows"),
        ({"rows": None}, "rows"),
        ({"trace": 1}, "trace"),
        ({"keep": "*"}, "keep"),
        ({"keep": [1]}, "keep"),
        ({"engine": "steam"}, "steam"),
        ({"architecture": "riscv"}, "riscv"),
        ({"out_dir": "/etc"}, "out_dir"),
        ({"model_uri": "models:/y/1"}, "model_uri"),
        ({"versions": ["a==1"]}, "versions"),
        ({"example": {"name": "rows.csv", "sha256": "00"}}, "give --example"),
        ({"facts_dir": {}}, "give --facts-dir"),
    ],
)
def test_a_record_that_no_build_wrote_is_refused(record: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_options(record, {})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("x\n2\n"), "another file"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_another_file_than_the_recorded_is_refused(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    (file := tmp_path / "rows.csv").write_text("x\n1\n")
    record = record_options(make_request("models:/x/1", baseline=file))
    make(file)

    with pytest.raises(ValueError, match=words):
        read_options(record, {"baseline": file})


def test_a_file_that_the_build_was_not_given_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="built without --baseline"):
        read_options({}, {"baseline": tmp_path})
