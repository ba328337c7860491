"""What takes long in many tests, done once."""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import typer.testing

from packager.environments import resolver_memory


@pytest.fixture(autouse=True, scope="session")
def _read_services_once() -> Iterator[None]:
    """AWS's clients are made of megabytes of JSON; moto has each test begin without any."""
    if (loaders := sys.modules.get("botocore.loaders")) is None:
        yield
        return
    kind: Any = loaders.JSONFileLoader
    read = functools.cache(functools.partial(kind.load_file, kind()))
    listed: dict[tuple[object, ...], list[str]] = {}

    def load_file(self: object, file_path: str | Path) -> Any:
        return read(file_path)

    def keep_names(method: Callable[..., list[str]]) -> Callable[..., list[str]]:
        def list_names(self: Any, *given: str, **more: str) -> list[str]:
            key = (method, *self.search_paths, given, *more.items())
            if key not in listed:
                listed[key] = method(self, *given, **more)
            return [*listed[key]]

        return list_names

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(kind, "load_file", load_file)
        for name in ("list_available_services", "list_api_versions"):
            method = getattr(loaders.Loader, name)
            changed.setattr(loaders.Loader, name, keep_names(method))
        yield


@pytest.fixture(autouse=True, scope="session")
def _make_commands_once() -> Iterator[None]:
    """Typer makes every command and option anew for each line that is run."""
    make = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(typer.main, "get_command", make)
        changed.setattr(typer.testing, "_get_command", make)
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
