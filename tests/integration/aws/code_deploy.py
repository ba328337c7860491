"""CodeDeploy in moto: an alias moves by its deployment preference, or goes back where it was.

The service itself cannot be had here, so this is a stand-in for it: its states, its hook and the
weights of the alias. A step that takes five minutes in the cloud takes CODEDEPLOY_STEP_SECONDS.
Each deployment is a line of JSON in the file that CODEDEPLOY_LOG names.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from moto.awslambda import models as lambda_models
from moto.cloudformation.exceptions import ValidationError
from moto.codedeploy import responses
from moto.core.responses import ActionResult

_CANARY: Final = 0.1
"""Share of a new version until its step is over."""
_LOOKS: Final = 10
"""At the alarms, in one step."""


class CodeDeploy:
    """Deployments of one cloud. `invoke` runs a function: (payload, whether it failed, log)."""

    def __init__(self, invoke: Callable[[Any, Any], tuple[str, bool, str]]) -> None:
        self._invoke = invoke
        self._step_seconds = float(os.environ.get("CODEDEPLOY_STEP_SECONDS", "3"))
        self._log = os.environ.get("CODEDEPLOY_LOG")
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
        told: dict[str, Any] = {"from": old, "to": new, "states": ["Created"]}

        def weigh(version: str, weights: Mapping[str, float]) -> None:
            routing: Any = {"AdditionalVersionWeights": weights} if weights else {}
            backend.update_alias(name, function, version, "", routing)

        try:
            if hook := policy.get("BeforeAllowTrafficHook"):
                told["states"].append("BeforeAllowTraffic")
                self._ask_hook(backend.get_function(hook), told)
            told["states"].append("AllowTraffic")
            weigh(old, {new: _CANARY})
            self._watch(backend.get_function(function).function_name, new)
            weigh(new, {})
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

    def _watch(self, function: str, version: str) -> None:
        for _ in range(_LOOKS):
            time.sleep(self._step_seconds / _LOOKS)
            if self._failures[function, version]:
                raise ValidationError(message=f"Version {version} failed: the alias goes back.")

    def _write(self, told: Mapping[str, Any]) -> None:
        if self._log is not None:
            with Path(self._log).open("a", encoding="utf-8") as log:
                log.write(json.dumps(told) + "\n")
