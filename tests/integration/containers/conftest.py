from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.containers import engine as engines
from tests.integration.containers.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Skips where none can be started, and says why."""
    if why := engines.why_not():
        pytest.skip(why)
    # a socket's path has at most 107 characters
    with (
        tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder,
        engines.started(Path(folder)) as started,
    ):
        yield started
