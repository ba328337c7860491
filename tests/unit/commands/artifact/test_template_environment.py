"""The variables of a template with its defaults: what a boot on this machine is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handlers.events import aws_sources, destinations
from packager import targets
from packager.commands import local_boot
from packager.commands.artifact import Built, template_environment
from packager.commands.artifact.template_environment import list_names, read_environment
from packager.errors import ConfigurationError, ModelFormatError
from packager.targets.hosts import HOSTS
from packager.types import Front, HostKind
from tests import fake_plan
from tests.unit.pipeline.emit.test_emit_sources import TO, emitted


def test_every_variable_has_a_value(tmp_path: Path) -> None:
    out = emitted(tmp_path, *aws_sources.SOURCES, once=True, batch=True)

    found = read_environment(out, HostKind.LAMBDA)

    expected = {
        "LOG_LEVEL": "INFO",
        "PACKAGER_FAILURES": "https://sqs.us-east-1.amazonaws.com/123456789012/FailuresQueue",
        "PACKAGER_FILES": "1",
        "PACKAGER_INPUT": "s3://data/",
        "PACKAGER_NOTICES": "",
        "PACKAGER_ONCE_TABLE": "AnsweredTable",
        "PACKAGER_OUTPUT": "s3://answers/churn/v1/",
        "PACKAGER_PAYLOAD_PATH": "",
        "POWERTOOLS_METRICS_NAMESPACE": "ModelServing",
        "POWERTOOLS_SERVICE_NAME": "churn",
    }
    assert expected.items() <= found.items()


@pytest.mark.parametrize("kind", destinations.KINDS)
def test_an_address_is_one_that_the_function_takes(tmp_path: Path, kind: str) -> None:
    found = read_environment(emitted(tmp_path, "sqs", to=TO[kind]), HostKind.LAMBDA)

    assert found["PACKAGER_OUTPUT"].partition(":")[0] == kind
    assert "$" not in "".join(found.values())


def test_the_queue_of_notices_is_named_where_it_is_made(tmp_path: Path) -> None:
    out = emitted(tmp_path, "s3")
    text = (out / "template.yaml").read_text(encoding="utf-8")
    text = text.replace("Default: eventbridge", "Default: queue")
    (out / "template.yaml").write_text(text, encoding="utf-8")

    found = read_environment(out, HostKind.LAMBDA)

    assert found["PACKAGER_NOTICES"] == "arn:aws:sqs:us-east-1:123456789012:ObjectsQueue"


def test_a_variable_that_only_a_parameter_makes_is_named_and_has_no_value(tmp_path: Path) -> None:
    out = emitted(tmp_path, "sqs", front=Front.HTTP_API)

    assert "PACKAGER_BASE_PATH" in list_names(out)
    assert "PACKAGER_BASE_PATH" not in read_environment(out, HostKind.LAMBDA)


def test_azure_s_settings_are_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "function" / "local.settings.json.example"
    file.parent.mkdir()
    settings = {"PACKAGER_OUTPUT": "answers", "AzureWebJobsStorage": "x"}
    file.write_text(json.dumps({"Values": settings}), encoding="utf-8")

    assert read_environment(tmp_path, HostKind.WORKER) == {"PACKAGER_OUTPUT": "answers"}


@pytest.mark.parametrize("text", [None, "", "7", "a: [", "Resources: {}", "Resources: !Foo x"])
@pytest.mark.parametrize("host", [HostKind.LAMBDA, HostKind.WORKER])
def test_what_cannot_be_read_says_what_to_do(
    tmp_path: Path, text: str | None, host: HostKind
) -> None:
    (tmp_path / "function").mkdir()
    if text is not None:
        for name in ("template.yaml", "function/local.settings.json.example"):
            (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ModelFormatError, match="Build the artifact again"):
        read_environment(tmp_path, host)


def test_every_host_is_known() -> None:
    assert set(template_environment._READERS) == set(HOSTS)


@pytest.mark.parametrize("text", ["", "A", "=x", "1A=x", "A B=x", "A=\0"])
def test_what_is_no_variable_is_refused(tmp_path: Path, text: str) -> None:
    built = Built(
        folder=tmp_path, home=tmp_path, target="gpu-container", architecture="x86_64", memory_mb=1
    )
    boot = local_boot.prepare_boot(
        built, targets.load("gpu-container"), fake_plan.RUNTIME.python_minor, variables=[text]
    )

    with pytest.raises(ConfigurationError, match="is not NAME=VALUE"), boot:
        pass


@pytest.mark.parametrize("network", [False, True])
def test_a_function_reaches_the_network_where_that_is_allowed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, network: bool
) -> None:
    built = Built(
        folder=tmp_path, home=tmp_path, target="gpu-container", architecture="x86_64", memory_mb=1
    )
    monkeypatch.setattr(template_environment, "read_environment", lambda *_: {})
    interpreter = fake_plan.plan().interpreter
    monkeypatch.setattr("packager.environments.interpreters.find", lambda _: interpreter)
    target = targets.load("gpu-container")

    with local_boot.prepare_boot(built, target, "3.13", network=network) as boot:
        assert boot.network is network


@pytest.mark.parametrize(("minor", "brings"), [("3.10", True), ("3.13", False)])
def test_an_artifact_is_booted_by_the_client_that_its_runtime_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, minor: str, brings: bool
) -> None:
    name = "aws-lambda-image"
    built = Built(folder=tmp_path, home=tmp_path, target=name, architecture="x86_64", memory_mb=1)
    monkeypatch.setattr(template_environment, "read_environment", lambda *_: {})
    monkeypatch.setattr(local_boot, "_fill_stand_in", lambda *_: None)
    interpreter = fake_plan.plan().interpreter
    monkeypatch.setattr("packager.environments.interpreters.find", lambda _: interpreter)

    with local_boot.prepare_boot(built, targets.load(name), minor) as boot:
        assert boot.brings_client is brings
