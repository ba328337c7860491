"""Requests to try a deployed function with: what its doors take."""

from __future__ import annotations

import json

from packager.pipeline.emit._sample_events import events, sample
from packager.types import BuildPlan


def list_requests(plan: BuildPlan) -> dict[str, object]:
    """Return JSON by its path in the artifact: events of a function, bodies of a server."""
    return _list_events(plan) if "direct" in plan.target.doors else _list_bodies(plan)


def _list_events(plan: BuildPlan) -> dict[str, object]:
    sources = events(plan.model, plan.request.events.sources)
    return {f"events/{name}.json": event for name, event in sources.items()}


def _list_bodies(plan: BuildPlan) -> dict[str, object]:
    """Return the body of an HTTP request; none where it would not be JSON."""
    body, content_type = sample(plan.model)
    if body is None or not content_type.startswith("application/json"):
        return {}
    return {"request.json": json.loads(body)}
