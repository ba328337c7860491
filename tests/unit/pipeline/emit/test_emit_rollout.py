"""A rollout: the template's parts, and the check that a new version has to pass first."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import boto3
import pytest

from handlers.observability.drift import is_recorded
from packager import targets
from packager.errors import ConfigurationError
from packager.pipeline.answers.samples import MOST_BYTES, MOST_REQUESTS, choose_samples
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.pipeline.plan import check
from packager.probes import Probe
from packager.types import ReplaySample, Rollout, Spread
from tests import fake_plan, sam

_SAMPLES: Final = tuple(
    ReplaySample(
        name=f"request {number}",
        rows=1,
        request=json.dumps({"inputs": {"x": [number]}}),
        answer=json.dumps({"predictions": [number / 8]}),
    )
    for number in range(3)
)
_VERSION: Final = "arn:aws:lambda:us-east-1:123456789012:function:churn:7"
_EVENT: Final = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}


def _emit(
    base: Path,
    rollout: Rollout | None = Rollout.CANARY,
    name: str = "aws-lambda",
    samples: tuple[ReplaySample, ...] = _SAMPLES,
    spread: Spread | None = None,
    **changes: Any,
) -> Path:
    target = targets.load(name)
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    request = fake_plan.request(target=name, rollout=rollout, **changes)
    plan = fake_plan.plan(request=request, target=target, runtime=runtime)
    verified = replace(fake_plan.verified(fake_plan.tree(base / "tree", plan)), samples=samples)
    if spread is not None:
        done = replace(verified.evidence.replay, spread=spread)
        verified = replace(verified, evidence=replace(verified.evidence, replay=done))
    out = base / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


def _upload(text: str) -> dict[str, Any]:
    template = sam.parse(text)
    functions = template["Resources"]
    functions["RolloutCheck"]["Properties"]["CodeUri"] = "s3://bucket/rollout.zip"
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/functions:v1"
    place = (
        {"ImageUri": image}
        if functions["Function"]["Properties"].get("PackageType") == "Image"
        else {"CodeUri": "s3://bucket/function.zip"}
    )
    functions["Function"]["Properties"] |= place
    return template


@pytest.mark.parametrize("name", ["aws-lambda", "aws-lambda-image"])
@pytest.mark.parametrize("rollout", [Rollout.LINEAR, None])
def test_the_readme_has_each_parameter_of_the_rollout_and_the_commands_that_follow(
    name: str, rollout: Rollout | None, tmp_path: Path
) -> None:
    out = _emit(tmp_path, rollout, name)
    parameters = sam.parse((out / "template.yaml").read_text(encoding="utf-8"))["Parameters"]
    mine = {each for each in parameters if each.startswith("Rollout")}
    commands = {f"packager {each} ." for each in ("versions", "traffic", "rollback")}
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert {each for each in mine if f"`{each}`" in readme} == mine
    assert bool(mine) == (rollout is not None)
    assert {each for each in commands if each in readme} == (commands if rollout else set())
    default = None if rollout is None else parameters["Rollout"]["Default"]
    assert (f"| `Rollout` | {default} |" in readme) == (rollout is not None)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["aws-lambda", "aws-lambda-image"])
@pytest.mark.parametrize(
    ("rollout", "preference"),
    [
        (Rollout.CANARY, "Canary10Percent5Minutes"),
        (Rollout.LINEAR, "Linear10PercentEvery1Minute"),
        (Rollout.ALL_AT_ONCE, "AllAtOnce"),
    ],
)
def test_the_alias_moves_by_codedeploy_after_the_check(
    tmp_path: Path, name: str, rollout: Rollout, preference: str
) -> None:
    text = (_emit(tmp_path, rollout, name) / "template.yaml").read_text(encoding="utf-8")

    made = sam.transformed(_upload(text))["Resources"]

    assert sam.lint(text) == []
    group = made["FunctionDeploymentGroup"]["Properties"]
    assert preference in json.dumps(group["DeploymentConfigName"])
    assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["RolloutRole", "Arn"]}
    assert group["AlarmConfiguration"]["Alarms"] == [
        {"Name": {"Ref": "RolloutErrorsAlarm"}},
        {"Name": {"Ref": "RolloutDurationAlarm"}},
    ]
    policy = made["FunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert policy["BeforeAllowTrafficHook"] == {"Ref": "RolloutCheck"}
    versions = [each for each in made if each.startswith("FunctionVersion")]
    watched = made["RolloutErrorsAlarm"]["Properties"]["Dimensions"][-1]
    assert watched == {
        "Name": "ExecutedVersion",
        "Value": {"Fn::GetAtt": [versions[0], "Version"]},
    }
    variables = made["RolloutCheck"]["Properties"]["Environment"]["Variables"]
    assert variables["NEW_VERSION"] == {"Ref": versions[0]}


def test_without_a_rollout_nothing_of_it_is_there(tmp_path: Path) -> None:
    out = _emit(tmp_path, None)

    assert not (out / "rollout").exists()
    assert "Rollout" not in (out / "template.yaml").read_text(encoding="utf-8")


def test_the_check_may_do_nothing_but_its_work(tmp_path: Path) -> None:
    made = sam.parse((_emit(tmp_path) / "template.yaml").read_text(encoding="utf-8"))["Resources"]

    statements = [
        statement
        for role in ("RolloutCheckRole", "RolloutRole")
        for policy in made[role]["Properties"]["Policies"]
        # those of an account's rules are there by a parameter alone
        if "Fn::If" not in policy
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert [each for each in statements if each["Resource"] == "*"] == [
        {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"}
    ]
    assert not [each for each in statements if "*" in json.dumps(each["Action"])]


def test_a_proof_without_a_request_to_ask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="smaller example"):
        _emit(tmp_path, samples=())


@pytest.mark.few(0)
def test_a_request_that_may_not_be_written_as_it_is_is_not_asked(tmp_path: Path) -> None:
    """Without its password it is another request: no version would answer it as the model did."""
    secret = json.dumps({"inputs": {"x": ["https://me:word@host/x"]}})
    samples = (replace(_SAMPLES[0], request=secret), *_SAMPLES[1:])

    text = (_emit(tmp_path, samples=samples) / "rollout" / "replay.jsonl").read_text()

    assert [json.loads(line)["name"] for line in text.splitlines()[1:]] == [
        "request 1",
        "request 2",
    ]


@pytest.mark.parametrize("name", ["azure-functions", "gpu-container"])
def test_a_target_without_an_alias_is_refused_before_anything(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--rollout: .* aws-lambda-image have"):
        check(fake_plan.request(target=name, rollout=Rollout.CANARY))


def test_a_rollout_needs_a_proof() -> None:
    with pytest.raises(ConfigurationError, match="leave one of them out"):
        check(fake_plan.request(rollout=Rollout.LINEAR, allow_unproven=True))


def _probe(number: int, **changes: Any) -> Probe:
    given: dict[str, Any] = {"door": "direct", "rows": 1, "content_type": "application/json"}
    body = json.dumps({"inputs": [number]}).encode()
    return Probe(**{"name": f"request {number}", "body": body} | given | changes)


def test_samples_are_few_small_and_spread_and_the_example_is_one() -> None:
    answered = [(_probe(number), '{"predictions": [1.5]}') for number in range(1000)]

    chosen = choose_samples(answered)

    assert len(chosen) == MOST_REQUESTS
    assert chosen[0].name == "request 0"
    assert int(chosen[-1].name.split()[1]) > 900


def test_samples_stay_under_a_megabyte_and_one_large_request_takes_no_room() -> None:
    large = json.dumps({"predictions": ["x" * 90_000]})
    answered = [(_probe(number), large) for number in range(30)]
    answered += [(_probe(99), json.dumps({"predictions": ["x" * 200_000]}))]
    answered += [(_probe(100), '{"predictions": [1]}')]

    chosen = choose_samples(answered)

    assert sum(len(each.request) + len(each.answer) for each in chosen) <= MOST_BYTES
    assert [each.name for each in chosen][-1] == "request 100"
    assert "request 99" not in {each.name for each in chosen}


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"door": "http"}, '{"predictions": [1]}'),
        ({"rows": 0}, '{"predictions": [1]}'),
        ({}, "[1]"),
    ],
)
def test_what_a_direct_invoke_cannot_ask_is_no_sample(changes: Any, body: str) -> None:
    assert choose_samples([(_probe(1, **changes), body)]) == ()


class _Cloud:
    """Stands for Lambda and CodeDeploy: `answer` is the new version."""

    def __init__(self, answer: Callable[[Any], Mapping[str, Any]]) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self.status: list[str] = []

    def invoke(self, **given: Any) -> Mapping[str, Any]:
        self.asked.append(given["FunctionName"])
        context = json.loads(base64.b64decode(given["ClientContext"]))
        assert is_recorded(context["custom"])  # its generated rows are no drift
        return self._answer(json.loads(given["Payload"]))

    def put_lifecycle_event_hook_execution_status(self, **given: Any) -> None:
        assert given["deploymentId"] == "d-1"
        assert given["lifecycleEventHookExecutionId"] == "hook-1"
        self.status.append(given["status"])


class _Context:
    def __init__(self, seconds: int = 900) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return self._seconds * 1000


def _load(out: Path, monkeypatch: pytest.MonkeyPatch, cloud: _Cloud) -> ModuleType:
    """Load the emitted check as Lambda does: with its folder alone beside the runtime."""
    monkeypatch.syspath_prepend(str(out / "rollout"))
    for name in ("answer_comparison", "recorded_requests", "signed_proof", "public_key"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: cloud)
    monkeypatch.setenv("NEW_VERSION", _VERSION)
    monkeypatch.setenv("FUNCTION_TIMEOUT_SECONDS", "30")
    monkeypatch.setenv("SIGNED_BY", "")
    monkeypatch.setenv("EQUIVALENCE", "")
    # nothing is written beside what is deployed
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location(
        "replay_check", out / "rollout" / "replay_check.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(value: Callable[[int], Any]) -> Callable[[Any], Mapping[str, Any]]:
    def answer(request: Any) -> Mapping[str, Any]:
        body = {"predictions": [value(request["inputs"]["x"][0])]}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(body).encode())}

    return answer


def test_a_version_that_answers_as_the_model_gets_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = _Cloud(_answer(lambda x: x / 8))
    module = _load(_emit(tmp_path), monkeypatch, cloud)

    module.check_version(_EVENT, _Context())

    assert cloud.status == ["Succeeded"]
    assert cloud.asked == [_VERSION] * 3
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["passed"], found["requests"], found["rows"]) == (True, 3, 3)
    assert found["largest_difference"] == 0


def test_a_version_that_answers_otherwise_gets_none_and_no_value_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = _Cloud(_answer(lambda x: x / 8 + (x == 2) * 40.5))
    module = _load(_emit(tmp_path), monkeypatch, cloud)

    found = module.check_version(_EVENT, _Context())

    assert cloud.status == ["Failed"]
    assert (found["differing"], found["asked"]) == (1, 3)
    assert found["differences"] == [
        {"request": "request 2", "where": "predictions, row 0", "apart": 40.5}
    ]
    assert "40.75" not in capsys.readouterr().out


def test_what_the_evidence_allows_passes_and_a_label_never_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread = Spread(rounding={"predictions, any row": 1e-9})
    out = _emit(tmp_path, spread=spread)
    near = _Cloud(_answer(lambda x: x / 8 + 2e-9))
    far = _Cloud(_answer(lambda x: x / 8 + 1e-6))
    text = _Cloud(_answer(str))

    for cloud in (near, far, text):
        _load(out, monkeypatch, cloud).check_version(_EVENT, _Context())

    assert [cloud.status for cloud in (near, far, text)] == [["Succeeded"], ["Failed"], ["Failed"]]


def _fail(_: Any) -> Mapping[str, Any]:
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}


def _raise(_: Any) -> Mapping[str, Any]:
    raise OSError("no route")


def _say_nothing(_: Any) -> Mapping[str, Any]:
    return {"StatusCode": 200, "Payload": io.BytesIO(b"")}


@pytest.mark.parametrize("answer", [_fail, _raise, _say_nothing])
def test_whatever_goes_wrong_fails_the_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Any], Mapping[str, Any]]
) -> None:
    cloud = _Cloud(answer)

    _load(_emit(tmp_path), monkeypatch, cloud).check_version(_EVENT, _Context())

    assert cloud.status == ["Failed"]


def test_a_check_that_has_no_time_fails_the_deployment_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = _Cloud(_answer(lambda x: x / 8))

    found = _load(_emit(tmp_path), monkeypatch, cloud).check_version(_EVENT, _Context(seconds=95))

    assert cloud.status == ["Failed"]
    assert "ran out of time" in found["problem"]
    assert cloud.asked == []
