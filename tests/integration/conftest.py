"""What several tests ask of any artifact: one is built for all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from handlers.events import aws_sources
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.types import Engine, Rollout, make_request
from tests import models

SHARED = "lightgbm_booster"
"""The model of the artifact, one of tests/models."""


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built folder, not to be changed; the first process that asks for it builds it.

    Its path has a space.
    """
    return _build_once(tmp_path_factory, f"built {SHARED}", {})


@pytest.fixture(scope="session")
def artifact_of_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another, which is asked by every source; it is deployed with parameters of theirs alone."""
    options = {"events": aws_sources.SOURCES, "output_to": "s3://answers/out", "once": True}
    return _build_once(tmp_path_factory, f"events {SHARED}", options)


@pytest.fixture(scope="session")
def artifact_of_rollout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another, whose new versions are checked before they get traffic."""
    return _build_once(tmp_path_factory, f"rollout {SHARED}", {"rollout": Rollout.CANARY})


def _build_once(factory: pytest.TempPathFactory, name: str, options: dict[str, Any]) -> Path:
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with FileLock(base / f"{name}.lock"):
        if not folder.is_dir():
            given = {"engine": Engine.NATIVE, **options}
            request = make_request(model_uri=str(models.folder(SHARED)), out_dir=folder, **given)
            build(request, MlflowRegistry(None, None))
    return folder
