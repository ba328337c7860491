"""The image of a Lambda function: built, linted, run without rights, asked as Lambda asks it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from packager.commands.invoke import invoke_artifact
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.targets.lambda_emulator import http_event
from packager.types import BuildReport, make_request
from tests import models
from tests.integration.containers import base
from tests.integration.containers.engine import Engine
from tests.integration.containers.lint import lint

pytestmark = pytest.mark.slow
_BASE = "local/lambda-python:3.13"
_WRITABLE = ("--tmpfs", "/tmp:size=512m")  # noqa: S108 - inside the container, as Lambda has it
_LIMITS = ("--read-only", *_WRITABLE, "--memory", "512m", "--network", "none")
_ASK = """
import json, sys, urllib.request
url = "http://127.0.0.1:8080/2015-03-31/functions/function/invocations"
for event in json.load(sys.stdin):
    with urllib.request.urlopen(url, json.dumps(event).encode(), 60) as answer:
        print(answer.read().decode())
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> BuildReport:
    """Needs the engine only so that nothing is built where no image can be."""
    request = make_request(
        model_uri=str(models.folder("onnx_tensor")),
        out_dir=tmp_path_factory.mktemp("image") / "out",
        target="aws-lambda-image",
        python_minor=base.PYTHON,
        base_image=_BASE,
    )
    return build(request, MlflowRegistry(None, None))


@pytest.fixture(scope="module")
def image(engine: Engine, report: BuildReport) -> str:
    engine.run("tag", base.lambda_python(engine), _BASE)
    # by the classic builder, as `sam build` does; nothing is fetched on the way
    engine.run("build", "--network", "none", "--tag", "function", report.artifact.folder.parent)
    return "function"


def _asked(engine: Engine, name: str, events: list[object]) -> list[str]:
    argv = ["exec", "--interactive", name, "python3", "-c", _ASK]
    until = time.monotonic() + 30
    while True:
        done = engine.tried(*argv, stdin=json.dumps(events).encode())
        if done.returncode == 0 or time.monotonic() > until:
            assert done.returncode == 0, done.stderr[-2000:]
            return done.stdout.splitlines()
        time.sleep(0.2)


def test_the_image_answers_as_the_proven_folder_does(
    engine: Engine, report: BuildReport, image: str
) -> None:
    out = report.artifact.folder.parent
    body = (out / "function" / "model" / "serving_input_example.json").read_bytes()
    expected = invoke_artifact(
        out, data=None, http=False, content_type="application/json", repeat=1, memory_mb=None
    )
    http = http_event("POST", "/invocations", body, {"content-type": "application/json"})

    with engine.container(image, *_LIMITS) as name:
        direct, over_http = _asked(engine, name, [json.loads(body), http])
        user = engine.run("exec", name, "id", "-u")
        written = engine.tried("exec", name, "touch", "/var/task/written")
        host = engine.inspect(name)["HostConfig"]

    assert report.evidence.proven
    assert json.loads(direct) == json.loads(expected["response"])
    answer = json.loads(over_http)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, json.loads(direct))
    assert user != "0"
    assert written.returncode != 0
    assert (host["ReadonlyRootfs"], host["Memory"]) == (True, 512 << 20)


def test_nothing_is_in_it_that_should_not_be(engine: Engine, image: str) -> None:
    linted = lint(engine, image)

    assert linted.findings == ()
    packages, model = [layer for layer in linted.layers if "/var/task" in layer.made_by]
    assert packages.size_bytes > model.size_bytes > 0
    for layer in linted.layers:
        print(f"{layer.size_bytes:>12,}  {layer.made_by[:70]}")  # noqa: T201


def test_a_new_version_of_the_model_is_one_new_layer(
    engine: Engine, report: BuildReport, image: str, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(report.artifact.folder.parent, again)
    (again / "function" / "model" / "weights").write_bytes(b"other")

    engine.run("build", "--network", "none", "--tag", "again", again)

    was, now = (engine.inspect(name)["RootFS"]["Layers"] for name in (image, "again"))
    assert (was[:-1], was[-1] != now[-1]) == (now[:-1], True)
