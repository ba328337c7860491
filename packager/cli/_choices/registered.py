"""Names and aliases of the registry, and builds of packager.toml, for a shell's completion.

A shell waits for this at each press of a key. So MLflow, which takes seconds to import, is not
asked: the registry is read as it lies, for a second at most, and whatever is wrong is silence.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from packager.cli._configuration.file import find_configuration, read_configuration
from packager.system.http_client import RequestLimits, make_request, read_answer

_SECONDS: Final = 1.0
_MOST: Final = 200
_LIMITS: Final = RequestLimits(seconds=_SECONDS, silence_seconds=_SECONDS, most_bytes=2_000_000)
"""Credentials go to the server that was named: no redirect is followed."""
_PREFIX: Final = "models:/"
_PLAIN: Final = re.compile(r"[\w.-]{1,100}")
"""A name that no shell reads as anything else: whoever writes to a registry chooses it."""
_SQLITE: Final = re.compile(r"sqlite(?:\+\w+)?:///(.+?)(?:\?.*)?")
_MODELS: Final = """
select name, alias from registered_model_aliases where substr(name, 1, ?) = ? union all
select name, cast(max(version) as text) from model_versions where substr(name, 1, ?) = ?
group by name limit ?
"""
_Known = Iterator[tuple[str, str]]
"""Models, each with an alias or a version."""


def list_models(params: Mapping[str, object], begun: str) -> list[str]:
    """List what MODEL could be, within a second; what was found until then where that is over."""
    found: list[str] = []

    def look() -> None:
        for each in (_list_builds, _list_registered):
            # a completion that fails says nothing: there is no place to say it
            with contextlib.suppress(Exception):
                found.extend(each(params, begun))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return list(dict.fromkeys(found))[:_MOST]


def _list_builds(params: Mapping[str, object], begun: str) -> Iterator[str]:
    # a command that reads no file has no such option
    if params.get("no_config", True) or begun.startswith(_PREFIX):
        return
    named = params.get("config")
    file = read_configuration(Path(str(named))) if named else find_configuration(Path.cwd())
    yield from (file.builds if file is not None else ())


def _list_registered(params: Mapping[str, object], begun: str) -> Iterator[str]:
    if not (begun.startswith(_PREFIX) or _PREFIX.startswith(begun)):
        return
    name = re.split("[@/]", begun.removeprefix(_PREFIX))[0] if begun.startswith(_PREFIX) else ""
    for model, mark in _choose_reader(_find_registry(params))(name):
        if _PLAIN.fullmatch(model) and _PLAIN.fullmatch(mark):
            yield f"{_PREFIX}{model}{'/' if mark.isdecimal() else '@'}{mark}"


def _find_registry(params: Mapping[str, object]) -> str:
    """Find the registry as a build does: the options, MLflow's variables, the file here."""
    named = (
        params.get("registry_uri"),
        params.get("tracking_uri"),
        os.environ.get("MLFLOW_REGISTRY_URI"),
        os.environ.get("MLFLOW_TRACKING_URI"),
    )
    return str(next(filter(None, named), "sqlite:///mlflow.db"))


def _choose_reader(uri: str) -> Callable[[str], _Known]:
    if match := _SQLITE.fullmatch(uri):
        path = Path(match[1])
        return lambda name: _read_database(path, name)
    if urlsplit(uri).scheme in {"http", "https"}:
        return lambda name: _ask_server(uri, name)
    folder = Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
    return lambda name: _read_folder(folder, name)


def _read_database(path: Path, name: str) -> _Known:
    """Read the file alone, without a lock and without a file beside it."""
    until = time.monotonic() + _SECONDS
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
        db.set_progress_handler(lambda: int(time.monotonic() > until), 1000)
        arguments = (len(name), name, len(name), name, 2 * _MOST)
        yield from db.execute(_MODELS, arguments).fetchall()


def _ask_server(uri: str, name: str) -> _Known:
    """Ask for the models that begin so, without MLflow.

    https://mlflow.org/docs/latest/api_reference/rest-api.html#search-registeredmodels
    """
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    query = f"max_results={_MOST}"
    if name and _PLAIN.fullmatch(name):
        likeness = f"name LIKE '{name}%'"
        query += f"&filter={quote(likeness)}"
    path = f"{parts.path.rstrip('/')}/api/2.0/mlflow/registered-models/search"
    credentials = _read_credentials(parts.username, parts.password)
    headers = {"Authorization": credentials} if credentials else {}
    _, body = read_answer(make_request(f"{parts.scheme}://{host}{path}?{query}", headers), _LIMITS)
    told = json.loads(body)
    for model in told.get("registered_models", ()):
        for alias in model.get("aliases", ()):
            yield model["name"], alias["alias"]
        for version in model.get("latest_versions", ())[-1:]:
            yield model["name"], str(version["version"])


def _read_credentials(user: str | None, password: str | None) -> str:
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {token}"
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or user
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or password
    if user is None or password is None:
        return ""
    return f"Basic {base64.b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()}"


def _read_folder(folder: Path, name: str) -> _Known:
    """Read a store of files: models/NAME/aliases/ALIAS and models/NAME/version-N."""
    for model in sorted((folder / "models").glob(f"{name}*"))[:_MOST]:
        for alias in sorted((model / "aliases").glob("*"))[:_MOST]:
            yield model.name, alias.name
        versions = [each.name.removeprefix("version-") for each in model.glob("version-*")]
        if numbers := [int(each) for each in versions if each.isdecimal()]:
            yield model.name, str(max(numbers))
