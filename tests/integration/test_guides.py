"""The commands of the guides are typed, and they work.

A build of a guide is planned (`--dry-run`); the quickstart's is built. What asks a cloud, or runs
until it is interrupted, is parsed alone, and listed in NOT_RUN.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests import models
from tests.integration.conftest import SHARED

pytestmark = pytest.mark.slow
ROOT: Final = Path(__file__).parents[2]
GUIDES: Final = sorted(path.name for path in (ROOT / "docs" / "guides").glob("*.md"))
WALKED: Final = (
    *("quickstart.md", "quickstart-azure.md", "sign-and-verify.md"),
    *("configuration-file.md", "quickstart-gpu.md"),
)
"""Pages whose lines hang on each other."""
SUPPORT: Final = ROOT / "docs" / "support"
OF_EVENTS: Final = ("event-sources.md",)
"""Pages whose artifact is asked by sources of events."""
NOT_RUN: Final = {
    "packager audit": "asks OSV; test_policy.py asks a stand-in",
    "packager batch": "asks AWS",
    "packager diff dist/churn-3 models:": "builds; test_diff.py compares what is built",
    "packager diff dist/churn-3 dist/churn-4 --html": "starts both again; test_difference_page.py",
    "packager diff dist/churn dist/churn-2 --html": "starts both again; a rare test types it",
    "packager diff models:": "builds; test_diff.py compares what is built",
    "packager invoke dist/churn -d @dist/churn/request.json": "of an app for Azure, as test_worker",
    "packager follow": "deploys, and runs until it is interrupted; test_follow.py has it",
    "packager push-weights": "asks S3; test_weights_outside.py asks moto's",
    "packager replay": "asks a deployed app; test_serve.py and test_server_image.py have it",
    "packager rollback": "asks AWS; test_traffic.py asks moto's",
    "packager sign dist/churn --key PRIVATE_KEY.pem": "needs your key; test_rollout_signed.py",
    "packager sign dist/churn-image": "asks a registry; test_rollout_signed.py",
    "packager traffic": "asks AWS; test_traffic.py asks moto's",
    "packager versions": "asks AWS; test_traffic.py asks moto's",
    "packager serve": "runs until it is interrupted; test_serve.py has it",
    "packager inspect models:/reviews/1 --engines": "builds with each; test_engine.py has it",
    "packager verify dist/churn --deployed": "asks AWS",
    "packager verify dist/churn-azure --app": "asks Azure; test_deployed_app.py has a stand-in",
    "packager verify dist/churn-azure --package": "asks Azure; test_deployed_package.py",
    "packager verify dist/churn-image --image": "asks a registry; test_deployed_image.py has one",
    "packager build models:/churn@champion --target aws-lambda --arch arm64 --python 3.12": (
        "wants the files of an image; test_arm64_python.py"
    ),
    "packager build models:/reviews/1 --target auto": "plans nothing; test_auto.py has it",
}
"""Lines of packager that are parsed alone, and what stands in their place.

Lines of other programs are read by these, or by their tests: tests/unit/test_shell_lines.py.
"""
NONE_TYPED: Final = {
    "account-rules.md": "has sam's lines; test_typed_sam.py, and tests/unit/infra",
    "container.md": "has docker's lines; test_tool_image.py builds and starts the image",
    "follow-an-alias.md": "runs until it is interrupted; test_follow.py",
    "mlflow-deployments.md": "has mlflow's lines; aws/test_deployments.py",
}
"""Pages that have no line to type here, and where theirs are."""


def list_lines(page: Path) -> Iterator[str]:
    """Every line of a page that is typed at a shell and starts packager."""
    for line in re.findall(r"(?m)^    (packager .+)$", page.read_text(encoding="utf-8")):
        yield line.split("  #")[0].strip()


def is_run(line: str) -> bool:
    return not any(line.startswith(each) for each in NOT_RUN)


def test_what_is_not_run_is_in_a_guide() -> None:
    pages = [*(ROOT / "docs" / "guides").glob("*.md"), *SUPPORT.glob("*.md")]
    lines = [line for page in pages for line in list_lines(page)]
    for each in NOT_RUN:
        asked = f"`{each}" in "".join(page.read_text(encoding="utf-8") for page in pages)
        assert asked or any(line.startswith(each) for line in lines), each


def run(line: str, folder: Path, env: Mapping[str, str], *, code: int = 0) -> str:
    """Type a line into a shell. Fails the test where it ends with another code."""
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-ec", line],
        cwd=folder,
        env={**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def prepare_line(line: str) -> str:
    """Return the line about a model and an artifact that are here; a build becomes its plan."""
    line = re.sub(r"models:/\w+(/\d+|@\w+)", shlex.quote(str(models.folder(SHARED))), line)
    # the model that is here answers numbers, and no labels
    line = re.sub(r"--fail-on labels=[\d.]+%", "--fail-on max=0", line)
    if not line.startswith("packager build") or "--dry-run" in line:
        return line
    # dist/churn is the artifact that the other lines ask
    line = re.sub(r" -o \S+", "", line)
    return f"{line} -o planned --dry-run"


def test_no_page_passes_on_nothing() -> None:
    none = [
        name for name in GUIDES if not any(map(is_run, list_lines(ROOT / "docs" / "guides" / name)))
    ]
    assert none == sorted(NONE_TYPED)


@pytest.mark.parametrize("page", [name for name in GUIDES if name not in {*WALKED, *NONE_TYPED}])
def test_a_guide_can_be_typed(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = "artifact_of_events" if page in OF_EVENTS else "artifact"
    type_lines(ROOT / "docs" / "guides" / page, request.getfixturevalue(name), tmp_path)


def test_troubleshooting_can_be_typed(artifact: Path, tmp_path: Path) -> None:
    type_lines(SUPPORT / "troubleshooting.md", artifact, tmp_path)


def write_table(path: Path) -> None:
    """A training set of the model that is here, as the page on drift names one."""
    example = json.loads((models.folder(SHARED) / "serving_input_example.json").read_text("utf-8"))
    header, *rows = (example["dataframe_split"][key] for key in ("columns", "data"))
    lines = [",".join(map(str, each)) for each in [header, *(rows[0] * 100)]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def type_lines(page: Path, artifact: Path, folder: Path) -> None:
    (folder / "dist").mkdir()
    write_table(folder / "train.csv")
    for name in ("churn", "churn-3", "churn-4", "churn-arm", "churn-x86"):
        (folder / "dist" / name).symlink_to(artifact)
    digest = hashlib.sha256((artifact / "report.json").read_bytes()).hexdigest()
    for line in filter(is_run, list_lines(page)):
        # a cache of its own: these remove what is in it
        own = {"PACKAGER_CACHE": str(folder / "cache")} if line.startswith("packager cache") else {}
        run(prepare_line(line), folder, {"REPORT_SHA256": digest, **own})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the registry of the quickstart's script: `wine`, and the same as `churn`."""
    folder = tmp_path_factory.mktemp("trained")
    text = (ROOT / "docs" / "guides" / "quickstart.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"(?m)((?:^    (?:import|from) .*\n)(?:(?:    .*)?\n)+)", text)[:1]
    (folder / "train.py").write_text(textwrap.dedent(script), encoding="utf-8")
    assert "    python train.py" in text
    run("python train.py", folder, {})
    copied = "import mlflow; c = mlflow.MlflowClient(); c.create_registered_model('churn'); "
    copied += "c.create_model_version('churn', c.get_model_version('wine', '1').source)"
    run(f'python -c "{copied}"', folder, {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"})
    return folder


def test_the_quickstart_can_be_walked(trained: Path) -> None:
    told = {}
    for line in filter(is_run, list_lines(ROOT / "docs" / "guides" / "quickstart.md")):
        told[line] = run(line, trained, {})

    assert "predictions" in told["packager invoke dist/wine"]
    assert (trained / "dist" / "wine" / "function.zip").is_file()


def test_the_page_on_packager_toml_can_be_walked(trained: Path, tmp_path: Path) -> None:
    """A build becomes its plan."""
    registry = f"sqlite:///{trained / 'mlflow.db'}"
    env = {"MLFLOW_TRACKING_URI": registry, "MLFLOW_REGISTRY_URI": registry}
    alias = "c.set_registered_model_alias('churn', 'champion', '1')"
    run(f'python -c "import mlflow; c = mlflow.MlflowClient(); {alias}"', tmp_path, env)
    lines = [*list_lines(ROOT / "docs" / "guides" / "configuration-file.md")]
    assert lines[0].startswith("packager init")
    for line in lines:
        is_plan = line.startswith("packager build") and "--dry-run" not in line
        run(f"{line} --dry-run" if is_plan else line, tmp_path, env)
    assert "[build.churn]" in (tmp_path / "packager.toml").read_text(encoding="utf-8")


def test_the_quickstart_on_azure_can_be_walked(trained: Path) -> None:
    """Each line as it stands, by the worker library that Azure publishes; the app is served too."""
    shutil.rmtree(trained / "dist", ignore_errors=True)  # the other quickstart's
    told = {}
    for line in list_lines(ROOT / "docs" / "guides" / "quickstart-azure.md"):
        served = line.startswith("packager serve")
        told[line] = ask_served(line, trained) if served else run(line, trained, {})

    answers = [text for line, text in told.items() if re.match("packager (invoke|serve)", line)]
    assert len(answers) == 3
    assert all('{"predictions": [' in each for each in answers)
    evidence = json.loads((trained / "dist" / "churn" / "evidence.json").read_text("utf-8"))
    assert evidence["evidence"]["proven"]
    assert (trained / "dist" / "churn" / "azure.yaml").is_file()


def test_the_quickstart_on_a_gpu_can_be_walked_without_one(tmp_path: Path) -> None:
    """The image for a GPU is planned; the one for a CPU is built, started and asked.

    Its wheels with CUDA weigh gigabytes. docker's lines are those of test_server_image.py.
    """
    page = ROOT / "docs" / "guides" / "quickstart-gpu.md"
    model = shlex.quote(str(models.folder("xgboost_booster")))
    built = []
    for line in list_lines(page):
        typed = line.replace("models:/reviews/1", model)
        if "--driver" in typed and "--dry-run" not in typed:
            typed = f"{typed} --dry-run"
        if typed.startswith("packager build"):
            built.append(run(typed, tmp_path, {}))
    assert len(built) == 4
    assert (tmp_path / "dist" / "reviews-cpu" / "Dockerfile").is_file()
    assert not (tmp_path / "dist" / "reviews").exists()

    (tmp_path / "dist" / "reviews").symlink_to("reviews-cpu")
    (served,) = (each for each in list_lines(page) if each.startswith("packager serve"))
    asking = re.findall(r"(?m)^    ((?:curl|packager replay) .+)$", page.read_text("utf-8"))
    assert len(asking) == 2
    with serve_line(served, tmp_path) as address:
        answers = [
            run(each.replace("http://127.0.0.1:8080", address), tmp_path, {}) for each in asking
        ]
    assert '{"predictions": [' in answers[0]
    assert json.loads(answers[1])["passed"]


def ask_served(line: str, folder: Path) -> str:
    """Serve what a line says, send the recorded request, and interrupt it. Returns the answer."""
    body = (folder / "dist" / "churn" / "request.json").read_bytes()
    with serve_line(line, folder) as address:
        headers = {"content-type": "application/json"}
        url = f"{address}/invocations"
        return httpx.post(url, content=body, headers=headers, timeout=60).text


@contextlib.contextmanager
def serve_line(line: str, folder: Path) -> Iterator[str]:
    """Serve what a line says until the block ends; its address, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [*shlex.split(re.sub(r"--port \d+", "", line))[1:], "--port", str(port)]
    serving = subprocess.Popen(
        [sys.executable, "-m", "packager", *argv], cwd=folder, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert serving.poll() is None
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{address}/ping", timeout=60)
                break
            time.sleep(0.2)
        else:
            raise AssertionError(f"{line} did not answer")
        yield address
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(60)


def test_signing_can_be_walked(artifact: Path, tmp_path: Path) -> None:
    """Each line ends with the exit code that stands behind it; the page's builds are one."""
    page = ROOT / "docs" / "guides" / "sign-and-verify.md"
    shutil.copytree(artifact, tmp_path / "dist" / "churn")
    (tmp_path / "dist" / "churn-2").symlink_to(artifact)
    lines = re.findall(r"(?m)^    ((?:packager|openssl|cp|echo|sed) .+)$", page.read_text("utf-8"))
    assert sum(line.startswith("packager verify") for line in lines) >= 6

    for line in filter(is_run, lines):
        typed, _, code = line.partition("  # ")
        ends = run(prepare_line(typed.strip()), tmp_path, {}, code=int(code or 0))
        assert "Traceback" not in ends


OF_A_CLOUD: Final = ("packager verify dist/churn --deployed", "packager verify dist/churn-")
"""What can be typed only once something is deployed; the page says so."""


@pytest.mark.rare
def test_signing_can_be_walked_by_a_newcomer(tmp_path: Path) -> None:
    """Every line as it stands, in an empty folder: builds are builds."""
    text = (ROOT / "docs" / "guides" / "sign-and-verify.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"(?m)((?:^    (?:import|from) .*\n)(?:(?:    .*)?\n)+)", text)[:1]
    (tmp_path / "train.py").write_text(textwrap.dedent(script), encoding="utf-8")
    typed = r"(?m)^    ((?:packager|python|openssl|cp|echo|sed) .+)$"
    lines = [each for each in re.findall(typed, text) if not each.startswith(OF_A_CLOUD)]
    assert lines[0] == "python train.py"

    told = {}
    for line in lines:
        command, _, code = line.partition("  # ")
        told[line] = run(command.strip(), tmp_path, {}, code=int(code or 0))

    assert (tmp_path / "diff.html").is_file()
    (compared,) = (said for line, said in told.items() if "--fail-on" in line)
    assert "label" in compared
