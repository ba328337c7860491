"""An event of a bus."""

from __future__ import annotations

from packager.probes.aws_source_events._forms import ACCOUNT, ID, REGION


def make_event(request: object) -> object:
    return {
        "version": "0",
        "id": ID,
        "detail-type": "Request",
        "source": "example",
        "account": ACCOUNT,
        "time": "2000-01-01T00:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": request,
    }
