"""The application file for Ray Serve, run by Ray itself on this machine, over a proven function.

Ray is hundreds of megabytes: PACKAGER_ENGINES=ray asks for it.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.manifest import FILENAME, Manifest
from packager.environments import interpreters, virtual_environments
from packager.system import resources
from packager.types import Frame, Tier
from tests import models
from tests.handlers.modelling import laid_out, with_handlers

pytestmark = pytest.mark.slow

ASKED = os.environ.get("PACKAGER_ENGINES", "").split(",")
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
APP = resources.INFRA / "gpu" / "ray"
PORT = 18_000
CLIENTS, EACH = 16, 50


@pytest.fixture
def function(tmp_path: Path) -> Path:
    laid_out(models.folder("onnx_tensor"), tmp_path / "f", Tier.NATIVE, Frame.NUMPY)
    manifest = replace(Manifest.read(tmp_path / "f"), python=OURS)
    (tmp_path / "f" / FILENAME).write_text(manifest.text(), encoding="utf-8")
    return with_handlers(tmp_path / "f")


@pytest.fixture
def served(function: Path, tmp_path: Path) -> Iterator[Path]:
    if "ray" not in ASKED:
        pytest.skip("PACKAGER_ENGINES does not name ray")
    python = virtual_environments.ensure(
        interpreters.find(OURS), ["ray[serve]>=2.40"], label="ray-serve"
    )
    config = tmp_path / "serve.yaml"
    arguments = {"function": str(function), "gpus": "0", "least": "2", "most": "2"}
    application = {"import_path": "ray_serve:app", "route_prefix": "/", "args": arguments}
    http = {"host": "127.0.0.1", "port": PORT}
    config.write_text(json.dumps({"http_options": http, "applications": [application]}))
    env = {
        **os.environ,
        "PACKAGER_PYTHON": sys.executable,
        "PYTHONPATH": str(APP),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        argv: list[str | Path] = [python.parent / "serve", "run", "--blocking", config]
        running = subprocess.Popen(argv, env=env, stdout=out, stderr=out)
    try:
        _wait(running, log)
        yield function
    finally:
        running.terminate()
        running.wait(60)
        subprocess.run([python.parent / "ray", "stop"], env=env, capture_output=True, check=False)


def _wait(running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until and running.poll() is None:
        try:
            if _ask("GET", "/ping")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


def _ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_every_contract_is_answered_through_ray(served: Path) -> None:
    body = (served / "model" / "serving_input_example.json").read_bytes()
    status, expected = _ask("POST", "/invocations", body)
    assert (status, "predictions" in json.loads(expected)) == (200, True)
    assert _ask("POST", "/invocations", b"{")[0] == 400
    assert json.loads(_ask("GET", "/v2/health/ready")[1]) == {"ready": True}

    found: Counter[tuple[int, bool]] = Counter()

    def client() -> None:
        for _ in range(EACH):
            came = _ask("POST", "/invocations", body)
            found[came[0], came[1] == expected] += 1

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    begun = time.monotonic()
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    seconds = time.monotonic() - begun

    print(f"{CLIENTS * EACH} requests in {seconds:.1f} s by two replicas")  # noqa: T201
    assert found == {(200, True): CLIENTS * EACH}
