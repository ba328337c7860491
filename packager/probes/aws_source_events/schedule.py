"""A call of a schedule."""

from __future__ import annotations

from packager.probes.aws_source_events._forms import ID


def make_event(request: object) -> object:
    return {"scheduled": "2000-01-01T00:00:00Z", "execution": ID, "request": request}
