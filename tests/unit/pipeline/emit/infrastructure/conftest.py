"""One artifact of each build, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.pipeline.emit.infrastructure import builds


@pytest.fixture(scope="session")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a build, by the build's name."""
    made: dict[str, Path] = {}

    def emit(name: str) -> Path:
        if name not in made:
            made[name] = builds.emit_build(tmp_path_factory.mktemp("emitted"), name)
        return made[name]

    return emit
