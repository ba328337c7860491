"""The application file for Ray Serve, without Ray: how it starts a function's server."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from packager.environments import interpreters
from packager.errors import InterpreterNotFoundError
from packager.system import resources

APP = resources.INFRA / "gpu" / "ray" / "ray_serve.py"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("aiohttp", "ray", "starlette", "starlette.requests", "starlette.responses"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["ray"], "serve", SimpleNamespace(), raising=False)
    monkeypatch.setattr(sys.modules["starlette.requests"], "Request", object, raising=False)
    monkeypatch.setattr(sys.modules["starlette.responses"], "Response", object, raising=False)
    spec = importlib.util.spec_from_file_location("ray_serve", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("minor", "options"), [("3.8", ["-s"]), ("3.10", ["-s"]), ("3.11", ["-P", "-s"])]
)
def test_the_server_is_started_as_its_python_can(
    app: ModuleType,
    minor: str,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = json.dumps({"python": minor})
    (tmp_path / "model-manifest.json").write_text(manifest, encoding="utf-8")
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda argv, **_: started.append(argv))
    monkeypatch.setenv("PACKAGER_PYTHON", f"python{minor}")

    app._started(str(tmp_path), 8080)

    assert started == [[f"python{minor}", *options, "-m", "handlers.container", "serve"]]
    monkeypatch.undo()
    try:
        python = interpreters.find(minor).path
    except InterpreterNotFoundError:
        pytest.skip(f"there is no Python {minor} on this machine")
    assert subprocess.run([python, *options, "-c", ""], check=False).returncode == 0
