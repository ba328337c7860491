"""CodeDeploy in moto: an alias moves by its deployment preference, or goes back where it was.

The service itself cannot be had here, so this is a stand-in for it: its states, its hook, its steps
and the weights of the alias. A minute of the cloud takes CODEDEPLOY_MINUTE_SECONDS. The alarm that
ends a deployment is an error of the new version, as the template's own. Each deployment is a line
of JSON in the file that CODEDEPLOY_LOG names.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from moto.awslambda import models as lambda_models
from moto.cloudformation.exceptions import ValidationError
from moto.codedeploy import responses
from moto.core.responses import ActionResult

_PREFIX: Final = "CodeDeployDefault.Lambda"
_CANARY: Final = re.compile(r"Canary(\d+)Percent(\d+)Minutes")
_LINEAR: Final = re.compile(r"Linear(\d+)PercentEvery(\d+)Minutes?")
_AT_ONCE: Final = "AllAtOnce"
_WHOLE: Final = 100
_LOOKS: Final = 10
"""At the alarms, in one step."""


def list_steps(configuration: str) -> Iterator[tuple[int, int]]:
    """Yield each share of the new version in percent, and the minutes that it stays so.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html

    Raises ValueError for a configuration that CodeDeploy does not have.
    """
    name = configuration.removeprefix(_PREFIX)
    if found := _CANARY.fullmatch(name):
        yield int(found[1]), int(found[2])
    elif found := _LINEAR.fullmatch(name):
        for share in range(int(found[1]), _WHOLE, int(found[1])):
            yield share, int(found[2])
    elif name != _AT_ONCE:
        raise ValueError(f"CodeDeploy has no configuration {configuration}")
    yield _WHOLE, 0


class CodeDeploy:
    """Deployments of one cloud. `invoke` runs a function: (payload, whether it failed, log)."""

    def __init__(self, invoke: Callable[[Any, Any], tuple[str, bool, str]]) -> None:
        self._invoke = invoke
        self._minute_seconds = float(os.environ.get("CODEDEPLOY_MINUTE_SECONDS", "0.6"))
        self._log = os.environ.get("CODEDEPLOY_LOG")
        self._configurations: dict[str, str] = {}
        self._verdicts: dict[str, str] = {}
        self._failures: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def install(self) -> None:
        """Answer the hook's verdict, count what fails, and divide an alias's requests."""
        deployments = self

        def put_status(response: Any) -> ActionResult:
            hook = response._get_param("lifecycleEventHookExecutionId")
            deployments._verdicts[hook] = response._get_param("status")
            return ActionResult({"lifecycleEventHookExecutionId": hook})

        responses.CodeDeployResponse.put_lifecycle_event_hook_execution_status = put_status
        find = lambda_models.LambdaStorage.get_function_by_name_with_qualifier

        def find_by_weight(storage: Any, name: str, qualifier: str | None = None) -> Any:
            function, _, said = name.partition(":")
            called = said or qualifier or ""
            if called and not called.isdecimal() and called.lower() != "$latest":
                alias = storage._get_function_aliases(function).get(called)
                routing = (alias and alias.routing_config) or {}
                for version, weight in (routing.get("AdditionalVersionWeights") or {}).items():
                    if random.random() < weight:
                        return find(storage, function, version)
            return find(storage, name, qualifier)

        lambda_models.LambdaStorage.get_function_by_name_with_qualifier = find_by_weight

    def configure(self, application: str, configuration: str) -> None:
        """Have an application's one group move traffic that way. Raises ValidationError."""
        try:
            list(list_steps(configuration))
        except ValueError as error:
            raise ValidationError(message=str(error)) from error
        self._configurations[application] = configuration

    def count_failure(self, function: Any) -> None:
        with self._lock:
            self._failures[function.function_name, str(function.version)] += 1

    def shift(
        self, properties: Mapping[str, Any], policy: Mapping[str, Any], account: str, region: str
    ) -> None:
        """Move the alias to its new version. Raises ValidationError where it went back."""
        backend = lambda_models.lambda_backends[account][region]
        name, function = properties["Name"], properties["FunctionName"]
        old = str(backend.get_alias(name, function).function_version)
        new = str(properties["FunctionVersion"])
        configuration = self._configurations[policy["ApplicationName"]]
        told: dict[str, Any] = {
            "from": old,
            "to": new,
            "by": configuration.removeprefix(_PREFIX),
            "states": ["Created"],
            "shares": [],
        }

        def weigh(version: str, weights: Mapping[str, float]) -> None:
            routing: Any = {"AdditionalVersionWeights": weights} if weights else {}
            backend.update_alias(name, function, version, "", routing)

        try:
            if hook := policy.get("BeforeAllowTrafficHook"):
                told["states"].append("BeforeAllowTraffic")
                self._ask_hook(backend.get_function(hook), told)
            told["states"].append("AllowTraffic")
            for share, minutes in list_steps(configuration):
                whole = share == _WHOLE
                weigh(new if whole else old, {} if whole else {new: share / _WHOLE})
                told["shares"].append(share)
                self._watch(backend.get_function(function).function_name, new, minutes)
            told["states"].append("Succeeded")
        except ValidationError:
            weigh(old, {})
            told["states"].append("Stopped")
            raise
        finally:
            self._write(told)

    def _ask_hook(self, hook: Any, told: dict[str, Any]) -> None:
        execution = uuid.uuid4().hex
        event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": execution}
        payload, _, _ = self._invoke(hook, event)
        told["check"] = json.loads(payload)
        if self._verdicts.pop(execution, "Failed") != "Succeeded":
            raise ValidationError(message="The hook BeforeAllowTraffic failed: the alias stays.")

    def _watch(self, function: str, version: str, minutes: int) -> None:
        for _ in range(_LOOKS if minutes else 0):
            time.sleep(minutes * self._minute_seconds / _LOOKS)
            if self._failures[function, version]:
                raise ValidationError(message=f"Version {version} failed: the alias goes back.")

    def _write(self, told: Mapping[str, Any]) -> None:
        if self._log is not None:
            with Path(self._log).open("a", encoding="utf-8") as log:
                log.write(json.dumps(told) + "\n")
