"""A function is proven with the variables that its deployment gives it, on every target."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.events import azure_triggers
from packager import targets
from packager.commands.artifact.template_environment import read_environment
from packager.environments import interpreters
from packager.pipeline.verify.replay import prepare_boot
from packager.system.resources import TEMPLATES
from packager.targets.hosts.http_server import ServerHost
from packager.types import Front, HostKind
from tests import bicep, fake_plan
from tests.unit.pipeline.emit.test_emit_azure import plan as azure_plan
from tests.unit.pipeline.emit.test_emit_image import _emitted as emitted_image
from tests.unit.pipeline.emit.test_emit_image import _plan as image_plan
from tests.unit.pipeline.emit.test_emit_template import _emitted as emitted_template

NAMED_BY_A_DEPLOYMENT = {
    *("PACKAGER_FAILURES", "PACKAGER_INPUT", "PACKAGER_NOTICES", "PACKAGER_ONCE_TABLE"),
    *("PACKAGER_OUTPUT", "PACKAGER_PAYLOAD_PATH"),
}
"""Queues, tables and buckets that are there once it is deployed; read for events alone."""
INFRA = Path(__file__).parents[3] / "infra"


@pytest.mark.few(6)
@pytest.mark.parametrize("front", list(Front))
@pytest.mark.parametrize("events", [(), ("sqs",), ("s3", "files")])
def test_lambda_s_template_and_the_proof_agree(
    tmp_path: Path, front: Front, events: tuple[str, ...]
) -> None:
    to = {"output_to": "s3://answers"} if events else {}
    plan = fake_plan.plan(request=fake_plan.request(front=front, events=events, **to))
    emitted_template(tmp_path, plan)
    set_there = read_environment(tmp_path / "out", HostKind.LAMBDA)
    proven = dict(prepare_boot(plan, tmp_path).env)
    assert {*set_there} - {*proven} <= NAMED_BY_A_DEPLOYMENT
    assert proven == {name: set_there[name] for name in proven}


def test_an_image_s_template_and_the_proof_agree(tmp_path: Path) -> None:
    plan = image_plan()
    emitted_image(tmp_path, plan)
    set_there = read_environment(tmp_path / "out", HostKind.LAMBDA)
    assert set_there == dict(prepare_boot(plan, tmp_path).env)


@pytest.mark.parametrize("events", [(), ("queue",), tuple(azure_triggers.TRIGGERS)])
def test_azure_s_settings_and_the_proof_agree(tmp_path: Path, events: tuple[str, ...]) -> None:
    text = (INFRA / "azure" / "events.bicep").read_text(encoding="utf-8")
    made = {each["name"] for each in bicep.parse(text)["variables"]["names"]["value"]}
    proven = {*prepare_boot(azure_plan(*events), tmp_path).env}
    # an empty connection is a setting of its own in Bicep, with a suffix
    connections = {"PACKAGER_SERVICEBUS", "PACKAGER_EVENTHUBS"}
    assert proven - connections <= made
    if len(events) > 1:
        assert {name for name in made if name.startswith("PACKAGER_")} <= proven


def test_the_image_s_variables_and_the_proof_agree(tmp_path: Path) -> None:
    text = (TEMPLATES / "gpu_container" / "Dockerfile.j2").read_text(encoding="utf-8")
    block = text[text.index("\nENV ") + 5 : text.index("\nWORKDIR")]
    set_there = dict(re.findall(r"^ *(\w+)=(\S+)", block, re.MULTILINE))
    target = targets.load("gpu-container")
    boot = prepare_boot(
        fake_plan.plan(request=fake_plan.request(target=target.name), target=target), tmp_path
    )
    python = interpreters.find(f"3.{sys.version_info.minor}")
    host = ServerHost(replace(boot, interpreter=python))
    host._port = 8080
    proven = {**host._environment(), **host._confine().variables}
    # a machine without a GPU proves on the CPU; what is NVIDIA's is read by its container toolkit
    # and tokens, where an image asks for them, are checked before a request comes to the model
    own = {name for name in set_there if not name.startswith("NVIDIA_")}
    own -= {"PACKAGER_DEVICE", "PACKAGER_AUTH"}
    moved = {name: set_there[name].replace("/opt/model", str(tmp_path)) for name in own}
    assert moved == {name: proven.get(name) for name in own}
