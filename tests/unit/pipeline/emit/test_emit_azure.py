"""What lies beside an Azure artifact: its names are those that the functions are bound to."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import azure.functions as func
import pytest
import yaml

from handlers.events import azure_triggers
from handlers.events.azure_trigger_functions import TriggerFunctions
from packager import targets
from packager.pipeline import layout
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system import resources
from packager.types import BuildPlan, FileRecord, HttpAuth, ReplaySample, Weights
from tests import bicep, fake_plan
from tests.handlers.scorers import scorer

INFRA = resources.INFRA / "azure"
SETTING = re.compile(r"%(\w+)%")


def plan(
    *events: str,
    to: str | None = "blob://answers/churn",
    opentelemetry: bool = False,
    auth: HttpAuth = HttpAuth.IAM,
) -> BuildPlan:
    request = fake_plan.request(
        target="azure-functions",
        events=events,
        output_to=to if {*events} - {"batches"} else None,
        opentelemetry=opentelemetry,
        auth=auth,
    )
    return replace(fake_plan.plan(request=request), target=targets.load("azure-functions"))


def emitted(
    base: Path,
    *events: str,
    opentelemetry: bool = False,
    samples: tuple[ReplaySample, ...] | None = None,
    auth: HttpAuth = HttpAuth.IAM,
) -> dict[str, str]:
    made = plan(*events, opentelemetry=opentelemetry, auth=auth)
    root = fake_plan.tree(base / "tree", made)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    if samples is not None:
        verified = replace(verified, samples=samples)
    report = emit(package(verified, made, out), verified, made, out)
    return {p.relative_to(out).as_posix(): p.read_text(encoding="utf-8") for p in report.emitted}


def bindings(events: Sequence[str], output: str) -> list[dict[str, Any]]:
    doors, app = func.Blueprint(), func.FunctionApp()
    TriggerFunctions(scorer(events=list(events), output=output), lambda *_: None, {}).open(doors)
    app.register_functions(doors)
    return [b.get_dict_repr() for f in app.get_functions() for b in f.get_bindings()]


@pytest.mark.parametrize("output", azure_triggers.OUTPUTS)
def test_every_setting_that_a_function_is_bound_to_is_made(output: str) -> None:
    events = [
        name for name in azure_triggers.TRIGGERS if (name, output) != ("eventhubs", "servicebus")
    ]
    bound = bindings(events, output)
    wanted = {name for each in bound for name in SETTING.findall(str(each))}
    text = (INFRA / "events.bicep").read_text(encoding="utf-8")
    made = {each["name"] for each in bicep.parse(text)["variables"]["names"]["value"]}
    assert wanted <= made
    for connection in {each["connection"] for each in bound if "connection" in each}:
        assert f"'{connection}__credential'" in text + (INFRA / "app.bicep").read_text()


@pytest.mark.parametrize("events", [(), ("queue",), azure_triggers.TRIGGERS])
def test_the_settings_for_a_try_at_home_are_those_too(events: tuple[str, ...]) -> None:
    found = json.loads(layout.entry_files(plan(*events))["local.settings.json.example"])["Values"]
    bound = bindings(events, "blob") if events else []
    wanted = {name for each in bound for name in SETTING.findall(str(each))}
    wanted |= {each["connection"] for each in bound if "connection" in each}
    assert wanted <= set(found)
    assert ("PACKAGER_OUTPUT" in found) == bool(events)


@pytest.mark.parametrize("name", azure_triggers.TRIGGERS)
def test_the_host_tries_a_message_five_times(name: str) -> None:
    extensions = json.loads(layout.entry_files(plan(name))["host.json"])["extensions"]
    tries = {
        "queue": extensions.get("queues", {}).get("maxDequeueCount"),
        "blob": extensions.get("blobs", {}).get("poisonBlobThreshold"),
    }
    assert tries.get(name, 5) == 5
    assert extensions["http"]["routePrefix"] == ""


def test_an_app_that_is_asked_over_http_alone_has_nothing_of_events(tmp_path: Path) -> None:
    texts = emitted(tmp_path)
    parameters = json.loads(texts["infra/main.parameters.json"])["parameters"]
    assert "events" not in parameters
    assert "infra/subscribe.sh" not in texts
    assert "subscribe.sh" not in texts["azure.yaml"]
    assert "## Events" not in texts["README.md"]


def test_what_was_built_for_is_deployed_for(tmp_path: Path) -> None:
    texts = emitted(tmp_path, *azure_triggers.TRIGGERS)
    parameters = json.loads(texts["infra/main.parameters.json"])["parameters"]
    declared = bicep.parse(texts["infra/main.bicep"])["parameters"]
    assert set(parameters) <= set(declared)
    assert parameters["events"]["value"] == list(azure_triggers.TRIGGERS)
    assert parameters["outputKind"]["value"] == "blob"
    assert parameters["outputName"]["value"] == "answers/churn"
    assert "run: sh infra/replay.sh && sh infra/subscribe.sh\n" in texts["azure.yaml"]
    assert all(f"| {name} |" in texts["README.md"] for name in azure_triggers.TRIGGERS)


@pytest.mark.parametrize("weights", [Weights.MOUNT, Weights.AUTO, Weights.PACKAGE])
def test_weights_outside_are_mounted_from_a_share(tmp_path: Path, weights: Weights) -> None:
    request = fake_plan.request(target="azure-functions", weights=weights)
    made = replace(fake_plan.plan(request=request), target=targets.load("azure-functions"))
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", made))
    (tmp_path / "out").mkdir()
    artifact = package(verified, made, tmp_path / "out")
    outside = weights is not Weights.PACKAGE
    if outside:
        listed = FileRecord(PurePosixPath("model.pkl"), fake_plan.DIGEST, 900_000_000)
        bundle = replace(verified.bundle, weights=(listed,), weights_root=tmp_path)
        verified = replace(verified, bundle=bundle)
    report = emit(artifact, verified, made, tmp_path / "out")
    texts = {each.name: each.read_text(encoding="utf-8") for each in report.emitted}

    parameters = json.loads(texts["main.parameters.json"])["parameters"]
    found = {name: each["value"] for name, each in parameters.items() if name[:7] == "weights"}
    assert found == (_SHARE if outside else {})
    assert ("az storage file upload-batch" in texts["README.md"]) is outside
    for value in _SHARE.values():
        name = str(value).strip("${}=")
        assert (f"azd env set {name} " in texts["README.md"]) is (outside and value is not True)
    assert parameters.keys() <= bicep.parse(texts["main.bicep"])["parameters"].keys()


_SHARE = {
    "weightsOutside": True,
    "weightsAccountName": "${WEIGHTS_ACCOUNT_NAME=}",
    "weightsAccountGroup": "${WEIGHTS_ACCOUNT_GROUP=}",
    "weightsShareName": "${WEIGHTS_SHARE_NAME=}",
}


@pytest.mark.parametrize("asked", [False, True])
def test_the_host_and_the_worker_are_told_of_telemetry_where_it_was_asked_for(
    *, asked: bool, tmp_path: Path
) -> None:
    files = layout.entry_files(plan(opentelemetry=asked))
    host, local = (json.loads(files[n]) for n in ("host.json", "local.settings.json.example"))
    texts = emitted(tmp_path, opentelemetry=asked)
    parameters = json.loads(texts["infra/main.parameters.json"])["parameters"]
    assert host.get("telemetryMode") == ("OpenTelemetry" if asked else None)
    assert ("PYTHON_ENABLE_OPENTELEMETRY" in local["Values"]) is asked
    assert parameters.get("openTelemetry") == ({"value": True} if asked else None)
    assert set(parameters) <= set(bicep.parse(texts["infra/main.bicep"])["parameters"])
    assert ("customMetrics" in texts["README.md"]) is asked


def test_batches_alone_need_no_destination(tmp_path: Path) -> None:
    made = plan("batches", to=None)
    assert json.loads(layout.entry_files(made)["host.json"])["version"] == "2.0"
    texts = emitted(tmp_path, "batches")
    assert "events" not in json.loads(texts["infra/main.parameters.json"])["parameters"]
    assert "POST /batches" in texts["README.md"]
    assert "## Events" not in texts["README.md"]


def test_the_app_is_asked_the_proof_after_each_deployment(tmp_path: Path) -> None:
    texts = emitted(tmp_path)
    hook = yaml.safe_load(texts["azure.yaml"])["hooks"]["postdeploy"]
    script = texts["infra/replay.sh"]
    outputs = set(bicep.parse(texts["infra/main.bicep"])["outputs"])
    set_here = set(re.findall(r"^ *(?:export )?([A-Z_]+)=", script, re.MULTILINE)) | {"REPLAY"}

    assert hook == {"shell": "sh", "run": "sh infra/replay.sh"}
    assert {name for name in texts if name.startswith("replay/")} == {
        "replay/answer_comparison.py",
        "replay/over_http.py",
        "replay/recorded_requests.py",
        "replay/replay.jsonl",
        "replay/replay_check.py",
    }
    assert set(re.findall(r"\$\{?([A-Z_]+)", script)) <= outputs | set_here
    assert "replay/replay_check.py" in texts["README.md"]


@pytest.mark.parametrize(
    ("auth", "value"), [(HttpAuth.IAM, None), (HttpAuth.JWT, "entra"), (HttpAuth.API_KEY, "key")]
)
def test_what_callers_bring_is_the_parameter_of_the_template(
    tmp_path: Path, auth: HttpAuth, value: str | None
) -> None:
    texts = emitted(tmp_path, auth=auth)
    parameters = json.loads(texts["infra/main.parameters.json"])["parameters"]
    declared = bicep.parse(texts["infra/main.bicep"])["parameters"]["httpAuth"]
    (allowed,) = [each["argument"] for each in declared["decorators"] if each["type"] == "allowed"]

    assert parameters.get("httpAuth", {}).get("value") == value
    assert value is None or value in allowed


@pytest.mark.parametrize(
    ("value", "enabled", "level"),
    [
        (None, "True", "function"),
        ("key", "True", "function"),
        ("key-and-entra", "True", "function"),
        ("entra", "True", "anonymous"),
        ("entra", "true", "anonymous"),
        ("entra", "False", "function"),
        ("entra", "", "function"),
        ("entra", None, "function"),
    ],
)
def test_a_key_is_asked_for_unless_the_platform_says_that_it_asks_for_a_token(
    value: str | None, enabled: str | None, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, told in (("PACKAGER_HTTP_AUTH", value), ("WEBSITE_AUTH_ENABLED", enabled)):
        monkeypatch.delenv(name, raising=False)
        if told is not None:
            monkeypatch.setenv(name, told)
    names: dict[str, Any] = {}
    # a function keeps the level of the app that it was first registered with
    monkeypatch.delitem(sys.modules, "handlers.azure_functions", raising=False)

    exec(layout.entry_files(plan())["function_app.py"], names)  # noqa: S102 - as the worker does

    (http,) = names["app"].get_functions()
    (trigger,) = [each for each in http.get_bindings() if each.type == "httpTrigger"]
    assert str(trigger.auth_level).lower().rpartition(".")[2] == level


def test_an_app_without_a_proof_has_nothing_to_ask(tmp_path: Path) -> None:
    texts = emitted(tmp_path, samples=())

    assert not [name for name in texts if "replay" in name]
    assert "hooks" not in texts["azure.yaml"]
    assert "replay" not in texts["README.md"]


def test_event_grid_is_pointed_at_functions_of_these_names() -> None:
    text = (INFRA / "subscribe.sh").read_text(encoding="utf-8")
    assert "functionName=Host.Functions.blob&" in text
    assert "/functions/eventgrid" in text
    outputs = set(bicep.read(INFRA / "main.bicep")["outputs"])
    assert set(re.findall(r"\$\{?([A-Z_]+)", text)) <= outputs
