"""A request made in Python holds what its fields declare, however simply it was written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from packager import build, build_all, make_request
from packager.errors import ConfigurationError
from packager.types import Device, Engine, InfrastructureTool, Severity


def test_simple_values_become_what_the_fields_declare() -> None:
    made = make_request(
        "models:/churn/1",
        engine="onnx",
        device="cpu",
        out_dir="dist/churn",
        keep=["*.txt"],
        emit=["terraform"],
        audit_severity="high",
        memory_mb=None,
        rtol=1,
    )

    assert made.engine.kind is Engine.ONNX
    assert made.target.device is Device.CPU
    assert made.output.folder == Path("dist/churn")
    assert made.slimming.keep == ("*.txt",)
    assert made.target.emit == (InfrastructureTool.TERRAFORM,)
    assert made.supply_chain.audit_severity is Severity.HIGH
    assert made.target.memory_mb is None


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"memory": 5}, TypeError, "no setting memory. Did you mean memory_mb"),
        ({"memory_mb": "512"}, TypeError, "memory_mb has to be a whole number, and it is '512'"),
        ({"memory_mb": True}, TypeError, "has to be a whole number"),
        ({"python_minor": 3.13}, TypeError, "python_minor has to be a text"),
        ({"upgrade_pins": "no"}, TypeError, "has to be True or False"),
        ({"out_dir": 3}, TypeError, "out_dir has to be a path"),
        ({"keep": "*.txt"}, TypeError, "keep has to be a list or a tuple"),
        ({"keep": [3]}, TypeError, "keep has to be a text"),
        ({"engine": "onxn"}, ValueError, "one of 'native', 'onnx', 'machine-code', and not"),
        ({"architecture": "arm"}, ValueError, "one of 'x86_64', 'arm64'"),
    ],
)
def test_another_value_is_refused(
    settings: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make_request("models:/churn/1", **settings)


@pytest.mark.parametrize("group", ["model", "target", "engine", "output"])
def test_a_request_with_a_setting_in_the_place_of_a_group_names_what_makes_one(group: str) -> None:
    request = make_request("models:/churn/1")
    wrong = dataclasses.replace(request, **{group: "x"})  # type: ignore[arg-type]

    for call in (lambda: build(wrong), lambda: build_all([request, wrong])):
        with pytest.raises(ConfigurationError, match=f"{group}='x'.*make_request"):
            call()


def test_an_address_is_no_request() -> None:
    with pytest.raises(ConfigurationError, match="make_request"):
        build("models:/churn/1")  # type: ignore[arg-type]
