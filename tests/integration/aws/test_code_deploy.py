"""Every way that a template's `Rollout` moves traffic, and what operators do beside it, under load.

CodeDeploy is the stand-in of code_deploy.py, Lambda is moto's: a version answers with its number.
Callers ask the alias from several threads, and no request of theirs may be lost.
"""

from __future__ import annotations

import json
import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws
from moto.awslambda import models as lambda_models
from moto.cloudformation.exceptions import ValidationError
from moto.codedeploy import responses

from packager.commands.cloud import traffic
from packager.errors import ConfigurationError
from packager.types import Rollout
from tests import sam
from tests.integration.aws.code_deploy import CodeDeploy, list_steps
from tests.unit.commands.cloud.test_deployed import _build, _deploy, _zip_of
from tests.unit.pipeline.emit.test_emit_rollout import _emit, _upload

_CONFIGURATIONS: Final = {
    "AllAtOnce": [100],
    **{f"Canary10Percent{minutes}Minutes": [10, 100] for minutes in (5, 10, 15, 30)},
    "Linear10PercentEvery1Minute": [*range(10, 101, 10)],
    **{f"Linear10PercentEvery{minutes}Minutes": [*range(10, 101, 10)] for minutes in (2, 3, 10)},
}
"""Each value of the template's parameter, and the shares of the new version that follow."""
_STACK: Final = "mine"
_CALLS: Final = 300
_ACCOUNT: Final = ("123456789012", "us-east-1")
_PROPERTIES: Final = {"Name": "live", "FunctionName": "churn", "FunctionVersion": "2"}
_POLICY: Final = {"ApplicationName": "churn", "BeforeAllowTrafficHook": "check"}


class _Loaded(CodeDeploy):
    """Asks the alias at each step, before its time is over."""

    def __init__(self, ask: Callable[[int], Counter[str]], failing_at: int | None) -> None:
        self._ask = ask
        self._failing_at = failing_at
        self.seen: list[float] = []
        """Share of the requests that the new version answered at each step, in percent."""
        self.passes = True
        super().__init__(self._run)

    def _run(self, function: Any, event: Any = None) -> tuple[str, bool, str]:
        if function.function_name == "check":
            hook = event["LifecycleEventHookExecutionId"]
            self._verdicts[hook] = "Succeeded" if self.passes else "Failed"
            return json.dumps({"passed": self.passes}), False, ""
        return json.dumps({"version": str(function.version)}), False, ""

    def _watch(self, function: str, version: str, minutes: int) -> None:
        answers = self._ask(_CALLS)
        self.seen.append(100 * answers[version] / _CALLS)
        if len(self.seen) - 1 == self._failing_at:
            self._failures[function, version] += 1
        super()._watch(function, version, minutes)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., _Loaded]]:
    """Make the stand-in, over an alias that sends all to version 1 of two."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("CODEDEPLOY_MINUTE_SECONDS", "0.0001")
    monkeypatch.setenv("CODEDEPLOY_LOG", str(tmp_path / "log.jsonl"))
    random.seed(17)
    for owner, name in (  # what the stand-in changes is put back
        (responses.CodeDeployResponse, "put_lifecycle_event_hook_execution_status"),
        (lambda_models.LambdaStorage, "get_function_by_name_with_qualifier"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name, None), raising=False)
    with mock_aws():
        boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}", Path="/")
        _deploy(_build(tmp_path), _STACK)
        functions = boto3.client("lambda")
        functions.update_function_code(
            FunctionName="churn", ZipFile=_zip_of("second = 2"), Publish=True
        )
        told = functions.get_function_configuration(FunctionName="churn")
        functions.create_function(
            FunctionName="check", Role=told["Role"], Runtime=told["Runtime"],
            Handler="replay_check.check_version", Code={"ZipFile": _zip_of("")},
        )  # fmt: skip

        def make(configuration: str = "AllAtOnce", failing_at: int | None = None) -> _Loaded:
            made = _Loaded(_ask_alias, failing_at)
            made.install()
            made.configure("churn", f"CodeDeployDefault.Lambda{configuration}")

            def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
                return made._run(function, event)

            monkeypatch.setattr(lambda_models.LambdaFunction, "_invoke_lambda", invoke)
            return made

        yield make


def _ask_once() -> str:
    """The version that answered. Raises where a request is lost."""
    headers: dict[str, str] = {}
    backend = lambda_models.lambda_backends[_ACCOUNT[0]][_ACCOUNT[1]]
    told = backend.invoke("churn:live", None, "{}", {}, headers)
    assert "x-amz-function-error" not in headers
    return str(json.loads(told)["version"])


def _ask_alias(count: int) -> Counter[str]:
    with ThreadPoolExecutor(4) as callers:
        return Counter(callers.map(lambda _: _ask_once(), range(count)))


@contextmanager
def _calling() -> Iterator[Counter[str]]:
    """Count what callers are answered for as long as the block runs, and what is lost."""
    answers, over = Counter[str](), threading.Event()

    def call() -> None:
        while not over.wait(0.001):
            try:
                answers[_ask_once()] += 1
            except Exception as error:  # noqa: BLE001 - each is a request that was lost
                answers[repr(error)] += 1

    callers = [threading.Thread(target=call) for _ in range(3)]
    for each in callers:
        each.start()
    try:
        yield answers
    finally:
        over.set()
        for each in callers:
            each.join()


def _read_alias() -> tuple[str, dict[str, float]]:
    found = boto3.client("lambda").get_alias(FunctionName="churn", Name="live")
    routing: dict[str, float] = (found.get("RoutingConfig") or {}).get(
        "AdditionalVersionWeights", {}
    )
    return found["FunctionVersion"], routing


def _is_about(share: float, asked: float, calls: int = _CALLS) -> bool:
    """Tell whether a share, in percent, is within five standard deviations of what was asked."""
    part = asked / 100
    return abs(share - asked) <= 500 * math.sqrt(part * (1 - part) / calls)


def test_the_template_offers_what_is_simulated_here(tmp_path: Path) -> None:
    template = sam.parse((_emit(tmp_path) / "template.yaml").read_text())

    assert sorted(template["Parameters"]["Rollout"]["AllowedValues"]) == sorted(_CONFIGURATIONS)


@pytest.mark.parametrize("rollout", list(Rollout))
def test_each_option_names_a_configuration_of_codedeploy(rollout: Rollout, tmp_path: Path) -> None:
    text = (_emit(tmp_path, rollout) / "template.yaml").read_text()
    template = _upload(text)
    default = template["Parameters"]["Rollout"]["Default"]

    made = sam.transformed(template, {"Rollout": default})["Resources"]
    name = made["FunctionDeploymentGroup"]["Properties"]["DeploymentConfigName"]["Fn::Sub"]

    assert name[0] == "CodeDeployDefault.Lambda${ConfigName}"
    assert [share for share, _ in list_steps(name[1]["ConfigName"])] == _CONFIGURATIONS[default]


@pytest.mark.parametrize("configuration", _CONFIGURATIONS)
def test_traffic_moves_step_by_step_and_no_request_is_lost(
    configuration: str, cloud: Callable[..., _Loaded], tmp_path: Path
) -> None:
    deployments = cloud(configuration)

    deployments.shift(_PROPERTIES, _POLICY, *_ACCOUNT)

    told = json.loads((tmp_path / "log.jsonl").read_text())
    assert told["by"] == configuration
    assert told["shares"] == _CONFIGURATIONS[configuration]
    assert told["states"] == ["Created", "BeforeAllowTraffic", "AllowTraffic", "Succeeded"]
    assert all(map(_is_about, deployments.seen, told["shares"])), deployments.seen
    assert deployments.seen[-1] == 100
    assert _read_alias() == ("2", {})


@pytest.mark.parametrize(
    ("configuration", "step"),
    [
        *((f"Canary10Percent{minutes}Minutes", 0) for minutes in (5, 10, 15, 30)),
        *(("Linear10PercentEvery1Minute", step) for step in range(9)),
        *((f"Linear10PercentEvery{minutes}Minutes", 4) for minutes in (2, 3, 10)),
    ],
)
def test_an_alarm_takes_all_traffic_back_and_no_request_is_lost(
    configuration: str, step: int, cloud: Callable[..., _Loaded], tmp_path: Path
) -> None:
    deployments = cloud(configuration, failing_at=step)

    with _calling() as answers, pytest.raises(ValidationError, match="the alias goes back"):
        deployments.shift(_PROPERTIES, _POLICY, *_ACCOUNT)

    told = json.loads((tmp_path / "log.jsonl").read_text())
    assert told["shares"] == _CONFIGURATIONS[configuration][: step + 1]
    assert told["states"][-1] == "Stopped"
    assert _read_alias() == ("1", {})
    assert answers.keys() <= {"1", "2"}
    assert _ask_alias(50) == {"1": 50}


@pytest.mark.parametrize("configuration", _CONFIGURATIONS)
def test_a_version_that_the_check_refuses_gets_no_request(
    configuration: str, cloud: Callable[..., _Loaded]
) -> None:
    deployments = cloud(configuration)
    deployments.passes = False

    with _calling() as answers, pytest.raises(ValidationError, match="the alias stays"):
        deployments.shift(_PROPERTIES, _POLICY, *_ACCOUNT)

    assert deployments.seen == []
    assert answers.keys() <= {"1"}
    assert _read_alias() == ("1", {})


def test_what_codedeploy_does_not_have_is_refused(cloud: Callable[..., _Loaded]) -> None:
    with pytest.raises(ValidationError, match="no configuration"):
        cloud("Linear11PercentEvery1Second")


def test_operators_divide_and_take_back_traffic_and_no_request_is_lost(
    cloud: Callable[..., _Loaded], tmp_path: Path
) -> None:
    cloud()
    artifact = tmp_path / "out"

    with _calling() as answers:
        for share in (10, 50, 90, 0):
            traffic.shift_traffic(artifact, {"2": share}, stack=_STACK)
            seen = _ask_alias(_CALLS)
            assert _is_about(100 * seen["2"] / _CALLS, share), (share, seen)
        traffic.shift_traffic(artifact, {"2": 30}, stack=_STACK)
        traffic.roll_back(artifact, stack=_STACK)
        assert _ask_alias(50) == {"1": 50}
        traffic.shift_traffic(artifact, {"2": 100}, stack=_STACK)
        assert _ask_alias(50) == {"2": 50}
        traffic.roll_back(artifact, stack=_STACK)
        assert _ask_alias(50) == {"1": 50}
        for refused in ({"3": 10}, {"1": 30}, {"1": 20, "2": 20}):
            with pytest.raises(ConfigurationError):
                traffic.shift_traffic(artifact, refused, stack=_STACK)
        with pytest.raises(ConfigurationError, match="no version before 1"):
            traffic.roll_back(artifact, stack=_STACK)

    assert answers.keys() == {"1", "2"}
    assert _read_alias() == ("1", {})
