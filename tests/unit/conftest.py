"""What takes long in many tests, done once."""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packager.environments import resolver_memory


@pytest.fixture(autouse=True, scope="session")
def _read_services_once() -> Iterator[None]:
    """AWS's clients are made of megabytes of JSON; moto has each test begin without any."""
    if (loaders := sys.modules.get("botocore.loaders")) is None:
        yield
        return
    kind: Any = loaders.JSONFileLoader
    read = functools.cache(functools.partial(kind.load_file, kind()))

    def load_file(self: object, file_path: str | Path) -> Any:
        return read(file_path)

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(kind, "load_file", load_file)
        yield


@pytest.fixture(autouse=True, scope="session")
def _keep_no_answers() -> Iterator[None]:
    """What a test's stand-in for the resolver says is no answer for the user's own builds."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(resolver_memory, "_is_kept", lambda _: False)
        yield


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter, which pytest's own are not for long."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
