"""`packager sign --tag`: what is written to the model version, and when nothing is signed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST
from typer.testing import CliRunner

from packager.cli import app
from packager.errors import PackagerError
from packager.system.file_tree import sha256
from tests.attestations import FILE, make_key
from tests.unit.commands.artifact.test_integrity import _build

RUN = CliRunner()
RUN_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"))[0]


class Registry:
    """The client of a server that knows one version."""

    def __init__(self) -> None:
        self.run_id: str | None = RUN_ID
        self.absent = False
        self.denied = False
        self.tags: list[tuple[str, str, str, str]] = []

    def get_model_version(self, name: str, version: str) -> object:
        if self.absent:
            raise MlflowException("no such version", error_code=RESOURCE_DOES_NOT_EXIST)
        assert (name, version) == ("churn", "7")
        return SimpleNamespace(run_id=self.run_id)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        if self.denied:
            raise MlflowException("403: http://me:secret@server", error_code=PERMISSION_DENIED)
        self.tags.append((name, version, key, value))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    monkeypatch.setattr(mlflow, "MlflowClient", lambda *_: made)
    return made


def _sign(artifact: Path, key: Path, *more: str) -> tuple[int, str]:
    options = ["--tag", "--tracking-uri", "http://me:secret@server", *more]
    done = RUN.invoke(app, ["sign", str(artifact), "--key", str(key), *options])
    error = done.exception
    return (
        (error.exit_code, str(error))
        if isinstance(error, PackagerError)
        else (done.exit_code, done.output)
    )


def test_the_version_has_digests_verdict_difference_and_key(
    artifact: Path, key: Path, registry: Registry
) -> None:
    code, output = _sign(artifact, key)

    assert code == 0
    assert "packager.attested.aws-lambda" in output
    ((name, version, tag, value),) = registry.tags
    assert (name, version, tag) == ("churn", "7", "packager.attested.aws-lambda")
    (line, _) = (artifact / FILE).read_text().splitlines()
    assert json.loads(value) == {
        "artifact": sha256(artifact / "function.zip"),
        "report": sha256(artifact / "report.json"),
        "key": json.loads(line)["signatures"][0]["keyid"],
        "verdict": "bit-equal",
        "largestDifference": 0.0,
        "rows": 1001,
    }


def test_without_the_option_nothing_is_written(
    artifact: Path, key: Path, registry: Registry
) -> None:
    assert RUN.invoke(app, ["sign", str(artifact), "--key", str(key)]).exit_code == 0
    assert registry.tags == []


def test_an_unproven_artifact_is_tagged_as_such(
    artifact: Path, key: Path, registry: Registry
) -> None:
    for name in ("evidence.json", "report.json"):
        value = json.loads((artifact / name).read_text())
        value["evidence"]["proven"] = False
        if name == "report.json":
            value["emitted"]["evidence.json"] = sha256(artifact / "evidence.json")
        (artifact / name).write_text(json.dumps(value))

    assert _sign(artifact, key)[0] == 0
    told = json.loads(registry.tags[0][3])
    assert (told["verdict"], "rows" in told) == ("unproven", False)


def _of_a_folder(artifact: Path) -> None:
    report = json.loads((artifact / "report.json").read_text())
    report["model"].update(version=None, uri="a local folder named churn")
    (artifact / "report.json").write_text(json.dumps(report))


@pytest.mark.parametrize(
    ("change", "artifact_change", "code", "words"),
    [
        (lambda one: setattr(one, "absent", True), None, 3, "no such version"),
        (lambda one: setattr(one, "run_id", "ff"), None, 2, "another registry's"),
        (lambda _: None, _of_a_folder, 2, "no version of a registered model"),
    ],
    ids=["gone", "of another run", "of a folder"],
)
def test_nothing_is_signed_that_cannot_be_tagged(
    artifact: Path,
    key: Path,
    registry: Registry,
    change: Callable[[Registry], object],
    artifact_change: Callable[[Path], object] | None,
    code: int,
    words: str,
) -> None:
    change(registry)
    if artifact_change:
        artifact_change(artifact)

    ended, message = _sign(artifact, key)

    assert (ended, words in message) == (code, True), message
    assert not (artifact / FILE).exists()


def test_a_registry_that_is_no_server_is_never_opened(artifact: Path, key: Path) -> None:
    code, message = _sign(artifact, key, "--tracking-uri", "sqlite:///mlflow.db")

    assert (code, "through an MLflow server" in message) == (2, True)
    assert not (artifact / FILE).exists()


def test_a_tag_that_is_refused_is_told_and_the_signature_stays(
    artifact: Path, key: Path, registry: Registry
) -> None:
    registry.denied = True

    code, message = _sign(artifact, key)

    assert code == 4
    assert "secret" not in message
    assert (artifact / FILE).exists()


def test_an_address_alone_has_no_effect(artifact: Path, key: Path) -> None:
    done = RUN.invoke(app, ["sign", str(artifact), "--key", str(key), "--tracking-uri", "http://a"])

    assert done.exit_code == 2
    assert "--tag" in done.output
