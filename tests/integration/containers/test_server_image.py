"""The image that serves many hosts, without a GPU: built, linted, asked by each contract."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from packager.commands.cloud.deployed_image import compare_image
from packager.commands.invoke import invoke_artifact
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.types import BuildReport, Device, HttpAuth, make_request
from packager.types import Engine as ModelEngine
from tests import models
from tests.integration.containers import base
from tests.integration.containers.engine import Engine
from tests.integration.containers.lint import lint
from tests.unit.commands.cloud.image_server import Server as ImageServer
from tests.unit.commands.cloud.image_server import serve

pytestmark = pytest.mark.slow
_BASE = "local/python:3.13-slim"
_NAME = "onnx_tensor"
_CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Server:
    """A running container, asked from this machine."""

    name: str
    port: int

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def ready(self, seconds: float = 60) -> list[int]:
        """Waits until it is; what /ping answered meanwhile."""
        seen: list[int] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                seen.append(self.ask("GET", "/ping")[0])
            if seen and seen[-1] == 200:
                return seen
            time.sleep(0.02)
        raise AssertionError(f"not ready in time: {seen}")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> BuildReport:
    request = make_request(
        model_uri=str(models.folder(_NAME)),
        out_dir=tmp_path_factory.mktemp("server") / "out",
        target="gpu-container",
        device=Device.CPU,
        engine=ModelEngine.NATIVE,
        python_minor=base.PYTHON,
        base_image=_BASE,
        auth=HttpAuth.JWT,
    )
    return build(request, MlflowRegistry(None, None))


@pytest.fixture(scope="module")
def image(engine: Engine, report: BuildReport) -> str:
    engine.run("tag", base.plain(engine), _BASE)
    out = report.artifact.folder.parent
    engine.run("build", "--network", "none", "--tag", "server", out, buildkit=True)
    return "server"


@pytest.fixture
def server(engine: Engine, image: str) -> Iterator[Server]:
    """As little as a host gives; it asks for no token, which the image does."""
    with _running(engine, image, {"PACKAGER_AUTH": "none"}) as made:
        yield made


@contextlib.contextmanager
def _running(engine: Engine, image: str, variables: dict[str, str]) -> Iterator[Server]:
    """As little as a host gives: no rights, no file but in /tmp, 512 MB, SageMaker's argument."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"PORT": str(port), **variables}
    options = [
        *("--read-only", "--tmpfs", "/tmp", "--memory", "512m", "--cap-drop", "ALL"),  # noqa: S108
        *("--network", "host"),
        *(word for name, value in given.items() for word in ("--env", f"{name}={value}")),
    ]
    with engine.container(image, *options, args=["serve"]) as name:
        yield Server(name, port)


def _version(report: BuildReport) -> str:
    return f"/v2/models/{report.plan.model.name}"


def test_it_meets_every_hosts_contract(engine: Engine, report: BuildReport, server: Server) -> None:
    out = report.artifact.folder.parent
    body = (out / "function" / "model" / "serving_input_example.json").read_bytes()
    asked = {"data": None, "http": True, "content_type": "application/json"}
    proven = invoke_artifact(out, repeat=1, memory_mb=None, **asked)  # type: ignore[arg-type]
    expected = json.loads(proven["response"])
    json_type = {"content-type": "application/json"}

    assert set(server.ready()) <= {200, 503}

    # MLflow and SageMaker
    status, answer, _ = server.ask("POST", "/invocations", body, json_type)
    assert (status, json.loads(answer)) == (200, expected)
    assert server.ask("GET", "/health")[0] == 200
    version = server.ask("GET", "/version")[1].decode()
    assert version == report.plan.model.mlflow_version
    # Lambda's web adapter
    status, answer, _ = server.ask("POST", "/events", body)
    assert (status, json.loads(answer)) == (200, expected)
    # the Open Inference Protocol
    described = json.loads(server.ask("GET", _version(report))[1])
    assert server.ask("GET", "/v2/health/live")[0] == 200
    assert server.ask("GET", "/v2/health/ready")[0] == 200
    _by_tensors(server, report, described, json.loads(body), expected)
    # Prometheus, and what a person opens
    assert b"batch_rows_count" in server.ask("GET", "/metrics")[1]
    assert server.ask("GET", "/openapi.json")[0] == 200
    # as little as a host gives
    host = engine.inspect(server.name)["HostConfig"]
    assert (host["ReadonlyRootfs"], host["Memory"]) == (True, 512 << 20)
    assert engine.run("exec", server.name, "id", "-u") == "1000"
    assert engine.tried("exec", server.name, "touch", "/opt/model/written").returncode != 0


def test_it_asks_for_a_token_and_answers_its_proof_with_one(
    engine: Engine, image: str, report: BuildReport
) -> None:
    out = report.artifact.folder.parent
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = {**jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "a"}
    claims = {"iss": "https://issuer/", "aud": "model", "exp": time.time() + 600}
    token = jwt.encode(claims, private, "RS256", headers={"kid": "a"})
    with _publishing(json.dumps({"keys": [key]}).encode()) as address:
        variables = {
            "PACKAGER_JWT_ISSUER": "https://issuer/",
            "PACKAGER_JWT_AUDIENCE": "model",
            "PACKAGER_JWT_KEYS": address,
        }
        with _running(engine, image, variables) as server:
            server.ready()
            without = server.ask("POST", "/invocations", b"{}")
            done = subprocess.run(
                [
                    *(sys.executable, out / "replay" / "replay_check.py"),
                    *(f"http://127.0.0.1:{server.port}", "--header", "authorization=TOKEN"),
                ],
                env={"TOKEN": f"Bearer {token}"},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )

    assert without[0] == 401
    assert without[2]["www-authenticate"] == "Bearer"
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["passed"] is True


def test_without_an_issuer_it_does_not_serve(engine: Engine, image: str) -> None:
    with pytest.raises(AssertionError, match="not ready"), _running(engine, image, {}) as server:
        server.ready(seconds=5)


@contextlib.contextmanager
def _publishing(body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            thread.join()


def _by_tensors(
    server: Server, report: BuildReport, described: Any, body: Any, expected: Any
) -> None:
    (tensor,) = described["inputs"]
    data = np.asarray(body["inputs"], dtype="<f4")
    named = {"name": tensor["name"], "datatype": "FP32", "shape": list(data.shape)}
    plain = json.dumps({"inputs": [{**named, "data": data.reshape(-1).tolist()}]}).encode()
    status, answer, _ = server.ask("POST", f"{_version(report)}/infer", plain)
    outputs = json.loads(answer)["outputs"]
    assert status == 200
    for output in outputs:
        mine = np.asarray(output["data"]).reshape(output["shape"])
        whole = expected["predictions"]
        theirs = np.asarray(whole[output["name"]] if isinstance(whole, dict) else whole)
        assert np.array_equal(mine, theirs)

    sized = {**named, "parameters": {"binary_data_size": data.nbytes}}
    header = json.dumps({"inputs": [sized], "parameters": {"binary_data_output": True}}).encode()
    length = {"inference-header-content-length": str(len(header))}
    status, answer, headers = server.ask(
        "POST", f"{_version(report)}/infer", header + data.tobytes(), length
    )
    at = int(headers["inference-header-content-length"])
    assert status == 200
    for output, same in zip(json.loads(answer[:at])["outputs"], outputs, strict=True):
        size = output["parameters"]["binary_data_size"]
        kind = {"FP32": "<f4", "INT64": "<i8", "FP64": "<f8"}[output["datatype"]]
        assert np.frombuffer(answer[at : at + size], kind).tolist() == same["data"]
        at += size


@dataclass
class Counted:
    answered: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)


def _client(server: Server, body: bytes, counted: Counted, lock: threading.Lock) -> None:
    """Asks without a pause on one connection until it is refused, as a balancer's client does."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    while True:
        try:
            connection.request("POST", "/invocations", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            with lock:
                counted.lost.append(repr(error))
            return
        with lock:
            if answer.status == 200 and b"predictions" in text:
                counted.answered += 1
                continue
            if answer.status == 503:
                counted.refused += 1
            else:
                counted.lost.append(f"{answer.status}: {text[:200]!r}")
            return


def test_sigterm_under_load_loses_no_request(
    engine: Engine, report: BuildReport, server: Server
) -> None:
    path = report.artifact.folder / "model" / "serving_input_example.json"
    body, counted, lock = path.read_bytes(), Counted(), threading.Lock()
    server.ready()
    clients = [
        threading.Thread(target=_client, args=(server, body, counted, lock))
        for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    while counted.answered < 200 and not counted.lost:
        time.sleep(0.01)

    begun = time.monotonic()
    engine.run("kill", "--signal", "TERM", server.name)
    code = engine.run("wait", server.name)
    took = time.monotonic() - begun
    for client in clients:
        client.join(30)

    print(f"{counted.answered} answered, {counted.refused} refused, {took:.1f} s")  # noqa: T201
    assert counted.lost == []
    assert counted.refused == _CLIENTS
    assert (code, took < 30) == ("0", True)


def test_nothing_is_in_it_that_should_not_be(engine: Engine, image: str) -> None:
    linted = lint(engine, image)

    assert linted.findings == ()
    last = next(layer for layer in reversed(linted.layers) if layer.size_bytes)
    assert "/parts/model/" in last.made_by
    for layer in linted.layers:
        print(f"{layer.size_bytes:>12,}  {layer.made_by[:70]}")  # noqa: T201


def test_the_image_in_a_registry_is_the_artifacts(
    engine: Engine, image: str, report: BuildReport, tmp_path: Path
) -> None:
    """What Docker built of the Dockerfile, as a registry has it; and with a file more."""
    folder = report.artifact.folder.parent
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nCOPY sitecustomize.py /opt/model/\n")
    (tmp_path / "sitecustomize.py").write_text("")
    engine.run("build", "--network", "none", "--tag", "changed", tmp_path, buildkit=True)

    with serve() as registry:
        found = [
            compare_image(folder, push_saved(registry, engine, name, tmp_path / f"{name}.tar"))
            for name in (image, "changed")
        ]

    assert found[0]["problems"] == []
    (problem,) = found[1]["problems"]
    assert "/opt/model/sitecustomize.py is in the image, and not in function/" in problem


def push_saved(registry: ImageServer, engine: Engine, name: str, path: Path) -> str:
    """Have the registry hold an image that Docker saved, layer by layer."""
    engine.run("save", "--output", path, name)
    with tarfile.open(path) as saved:

        def read(member: str) -> bytes:
            content = saved.extractfile(member)
            assert content is not None
            return content.read()

        (told,) = json.loads(read("manifest.json"))
        layers = [read(each) for each in told["Layers"]]
        return registry.push(layers, json.loads(read(told["Config"])))
