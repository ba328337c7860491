"""The variables that a function is given, by its template and by the boot that proves it alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from handlers.events import aws_sources
from handlers.observability import dimension_value
from packager.pipeline import layout
from packager.types import BuildPlan, Device, Front, HostKind

_NAMESPACE: Final = "ModelServing"
_LOG_LEVEL: Final = {"LOG_LEVEL": "INFO"}
"""The template's parameter, whose default this is."""
_SETTINGS: Final = "local.settings.json.example"


def list_template_variables(plan: BuildPlan) -> dict[str, str]:
    """Those of Lambda's template that are no parameter and name nothing that is deployed beside it.

    None is a secret.
    """
    found = {
        "POWERTOOLS_METRICS_NAMESPACE": _NAMESPACE,
        "POWERTOOLS_SERVICE_NAME": dimension_value(plan.model.name or "unnamed"),
    }
    if {*plan.request.events.sources} & {*aws_sources.OF_FILES}:
        found["PACKAGER_FILES"] = "1"
    if plan.request.http.front is not Front.NONE:
        found["PACKAGER_HTTP"] = "1"
    if plan.device is Device.CUDA:
        found["PACKAGER_DEVICE"] = plan.device
    return found


def list_boot_variables(plan: BuildPlan) -> dict[str, str]:
    """List what a function is proven with: all its deployment sets that is known before it."""
    return {**_DEPLOYED[plan.target.program.host](plan), **plan.variables}


def _of_azure(plan: BuildPlan) -> dict[str, str]:
    settings = json.loads(layout.entry_files(plan)[_SETTINGS])["Values"]
    return {name: value for name, value in settings.items() if name.startswith("PACKAGER_")}


def _of_lambda(plan: BuildPlan) -> dict[str, str]:
    here = {} if plan.device is Device.CPU else {"PACKAGER_DEVICE": "auto"}
    return {**list_template_variables(plan), **_LOG_LEVEL, **here}


_DEPLOYED: Final[Mapping[HostKind, Callable[[BuildPlan], dict[str, str]]]] = MappingProxyType(
    {
        HostKind.LAMBDA: _of_lambda,
        HostKind.WORKER: _of_azure,
        # it has what the image sets
        HostKind.SERVER: lambda _: {},
    }
)
