"""A call of a schedule."""

from __future__ import annotations

from packager.probes.source_events._forms import ID
from packager.types import Json


def make_event(request: Json) -> Json:
    return {"scheduled": "2000-01-01T00:00:00Z", "execution": ID, "request": request}
