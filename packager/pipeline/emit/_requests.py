"""Requests to try a deployed function with: for each target what its doors take."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from packager.pipeline.emit._events import events, sample
from packager.types import BuildPlan, Json


def _events(plan: BuildPlan) -> dict[str, Json]:
    found = events(plan.model, plan.request.events.sources)
    return {f"events/{name}.json": event for name, event in found.items()}


def _body(plan: BuildPlan) -> dict[str, Json]:
    """Return the body of an HTTP request; none where it would not be JSON."""
    body, content_type = sample(plan.model)
    if body is None or not content_type.startswith("application/json"):
        return {}
    return {"request.json": json.loads(body)}


REQUESTS: Final[Mapping[str, Callable[[BuildPlan], dict[str, Json]]]] = MappingProxyType(
    {
        "aws-lambda": _events,
        "aws-lambda-image": _events,
        "azure-functions": _body,
        "gpu-container": _body,
    }
)
"""By the target's name: path in the artifact to JSON."""
