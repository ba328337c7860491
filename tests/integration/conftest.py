"""What several tests ask of any artifact: one is built for all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from handlers import events
from packager.pipeline import build
from packager.registry import MlflowRegistry
from packager.types import BuildRequest
from tests import models

SHARED = "lightgbm_booster"
"""The model of the artifact, one of tests/models."""


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built folder, not to be changed; the first process that asks for it builds it.

    Its path has a space, and it is asked by every source.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"built {SHARED}"
    with FileLock(base / f"{SHARED}.lock"):
        if not folder.is_dir():
            request = BuildRequest(
                model_uri=str(models.folder(SHARED)),
                out_dir=folder,
                events=events.SOURCES,
                output_to="s3://answers/out",
                once=True,
            )
            build(request, MlflowRegistry(None, None))
    return folder
