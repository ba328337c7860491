"""Artifacts with each endpoint, which tests of callers and of accounts read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import Front, HttpAuth
from tests import fake_plan


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Front, Path]:
    """One artifact an endpoint, each with another proof of identity; the REST one has events."""
    found = {}
    for front, auth in (
        (Front.HTTP_API, HttpAuth.JWT),
        (Front.FUNCTION_URL, HttpAuth.NONE),
        (Front.REST_API, HttpAuth.API_KEY),
    ):
        extra: dict[str, Any] = {}
        if front is Front.REST_API:
            extra = {"events": ("sqs",), "output_to": "s3://bucket/p", "once": True}
        base = tmp_path_factory.mktemp(front.value)
        plan = fake_plan.plan(request=fake_plan.request(front=front, auth=auth, **extra))
        out = base / "out"
        out.mkdir()
        verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
        emit(package(verified, plan, out), verified, plan, out)
        found[front] = out
    return found
