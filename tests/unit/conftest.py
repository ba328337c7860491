"""What takes long in many tests, done once."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


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
