"""Resolving out of a real MLflow registry: SQLite, a local store, and a registry that is down."""

from __future__ import annotations

import os
import shutil
import socket
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from packager.errors import ModelNotFoundError, PackagerError, RegistryUnavailableError
from packager.models.registry import MlflowRegistry
from packager.pipeline.resolve import resolve
from packager.system import file_tree
from packager.types import make_request
from tests import models

SOURCE = "xgboost_booster"
NEVER = "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    uri: str
    store: Path
    run_id: str
    model_id: str
    client: Any


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A registry with the model churn in two versions, an alias, a run and a logged model."""
    folder = tmp_path_factory.mktemp("registry")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        store = folder / "store"
        experiment = client.create_experiment("e", artifact_location=store.as_uri())
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(models.folder(SOURCE)), "model")
        logged = client.create_logged_model(
            experiment, name="booster", source_run_id=run.info.run_id
        )
        client.log_model_artifacts(logged.model_id, str(models.folder(SOURCE)))
        client.create_registered_model("churn")
        client.create_registered_model("empty")
        for source in (logged.artifact_location, f"{run.info.artifact_uri}/model"):
            client.create_model_version("churn", source, run_id=run.info.run_id)
        client.set_registered_model_alias("churn", "champion", "1")
    return Known(
        uri=uri, store=store, run_id=run.info.run_id, model_id=logged.model_id, client=client
    )


def _uri(template: str, known: Known) -> str:
    return template.format(run=known.run_id, logged=known.model_id)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("template", "name", "version", "aliases"),
    [
        ("models:/churn@champion", "churn", "1", ("champion",)),
        ("models:/churn/1", "churn", "1", ("champion",)),
        ("models:/churn/2", "churn", "2", ()),
        ("models:/churn/latest", "churn", "2", ()),
        ("models:/{logged}", "booster", None, ()),
        ("runs:/{run}/model", "model", None, ()),
    ],
)
def test_a_model_is_found_under_each_of_its_names(
    template: str,
    name: str,
    version: str | None,
    aliases: tuple[str, ...],
    known: Known,
    tmp_path: Path,
) -> None:
    before = file_tree.digest(file_tree.records(known.store))
    request = make_request(model_uri=_uri(template, known), out_dir=tmp_path / "out")
    model = resolve(request, MlflowRegistry(tracking_uri=known.uri), tmp_path)
    assert (model.name, model.version, model.aliases) == (name, version, aliases)
    assert model.digest == file_tree.digest(file_tree.records(models.folder(SOURCE)))
    assert model.root.resolve().is_relative_to(tmp_path.resolve())
    assert file_tree.digest(file_tree.records(known.store)) == before
    assert model.run_id is not None


def test_a_registry_of_files_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MLflow 2 makes it by default; MLflow 3.17 asks for a setting before it opens one."""
    uri = str(tmp_path / "mlruns")
    with monkeypatch.context() as changed:
        changed.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        client = mlflow.MlflowClient(uri, uri)
        client.create_registered_model("filed")
        client.create_model_version("filed", str(models.folder(SOURCE)))
        client.set_registered_model_alias("filed", "champion", "1")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)

    found = MlflowRegistry(tracking_uri=uri).fetch("models:/filed@champion", tmp_path / "work")

    assert (found.name, found.version, found.aliases) == ("filed", "1", ("champion",))
    expected = file_tree.digest(file_tree.records(models.folder(SOURCE)))
    assert file_tree.digest(file_tree.records(found.folder)) == expected


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("models:/churn@champoin", r"no alias 'champoin'\. Did you mean 'champion'\?"),
        ("models:/chrun/1", r"No registered model 'chrun'.* Did you mean 'churn'\?"),
        ("models:/churn@nobody", r"no alias 'nobody'.\s*Versions: 1, 2. Aliases: champion"),
        ("models:/churn/9", r"no version 9.\s*Versions: 1, 2"),
        ("models:/churn", r"a version must be named too"),
        ("models:/churn/Production", r"no version in a stage 'Production'"),
        ("models:/empty/latest", r"'empty' has no version"),
        ("models:/nobody/1", r"No registered model 'nobody'.*There are: churn, empty"),
        (f"models:/m-{NEVER}", rf"No model m-{NEVER}"),
        (f"runs:/{NEVER}/model", rf"No run {NEVER}"),
        ("runs:/{run}/nothing", r"has no 'nothing'. At its top there is: model"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(
    template: str, said: str, known: Known, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match=said):
        MlflowRegistry(tracking_uri=known.uri).fetch(_uri(template, known), tmp_path)


def test_mlflow_s_own_settings_hold(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", known.uri)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    assert MlflowRegistry().fetch("models:/churn/1", tmp_path / "a").version == "1"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(RegistryUnavailableError, match=r"none\.db"):
        MlflowRegistry().fetch("models:/churn/1", tmp_path / "b")
    assert MlflowRegistry(registry_uri=known.uri).fetch("models:/churn/1", tmp_path / "c").version


def test_without_any_setting_no_registry_is_made(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryUnavailableError, match="There is no registry at"):
        MlflowRegistry().fetch("models:/churn/1", tmp_path / "work")
    assert [path.name for path in tmp_path.iterdir()] == []


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_registry_that_is_down_is_said_within_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    down = MlflowRegistry(tracking_uri=f"http://127.0.0.1:{_closed_port()}")
    with pytest.raises(RegistryUnavailableError, match="nothing answers at"):
        down.fetch("models:/churn/1", tmp_path)
    assert time.monotonic() - started < 20


def test_a_host_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailableError, match="nothing answers at"):
        MlflowRegistry(tracking_uri="http://registry.invalid").fetch("models:/churn/1", tmp_path)


def test_a_version_whose_files_are_gone_is_said(known: Known, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    known.client.create_registered_model("hollow")
    known.client.create_model_version("hollow", gone.as_uri())
    with pytest.raises(ModelNotFoundError, match="there is no such folder"):
        MlflowRegistry(tracking_uri=known.uri).fetch("models:/hollow/1", tmp_path / "work")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xgboost_booster", "onnx_tensor", "pyfunc_code"])
def test_mlflow_itself_loads_the_cleaned_folder(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(models.folder(name), source)
    with (source / "MLmodel").open("a", encoding="utf-8") as file:
        file.write("artifact_path: file:///home/me/mlruns/1/models/m-1/artifacts\n")
    request = make_request(model_uri=str(source), out_dir=tmp_path / "out")
    model = resolve(request, MlflowRegistry(), tmp_path)
    assert "/home/me" not in (model.root / "MLmodel").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        loaded = mlflow.pyfunc.load_model(str(model.root))
    assert loaded.metadata.mlflow_version == model.mlflow_version


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server of moto's with a bucket that holds the model under models/churn."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    for key, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="registry")
    root = models.folder(SOURCE)
    for path in file_tree.walk(root):
        client.upload_file(str(root / path), "registry", f"models/churn/{path.as_posix()}")
    yield client
    server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_model_in_s3(
    s3: Any, known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = file_tree.digest(file_tree.records(models.folder(SOURCE)))
    registry = MlflowRegistry(tracking_uri=known.uri)
    # a store's own address asks no registry: none need be there, and none is made
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    plain = MlflowRegistry().fetch("s3://registry/models/churn", tmp_path / "plain")
    assert not (tmp_path / "mlflow.db").exists()
    assert file_tree.digest(file_tree.records(plain.folder)) == expected
    known.client.create_registered_model("in-s3")
    known.client.create_model_version("in-s3", "s3://registry/models/churn")
    request = make_request(model_uri="models:/in-s3/1", out_dir=tmp_path / "out")
    assert resolve(request, registry, tmp_path / "work").digest == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("uri", ["s3://registry/models/nobody", "s3://no-such-bucket/x"])
def test_nothing_in_s3_is_said(s3: Any, uri: str, known: Known, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        MlflowRegistry(tracking_uri=known.uri).fetch(uri, tmp_path)


@pytest.mark.slow
def test_a_store_that_is_down_is_said_within_seconds(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{_closed_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    started = time.monotonic()
    with pytest.raises(RegistryUnavailableError) as caught:
        MlflowRegistry(tracking_uri=known.uri).fetch("s3://registry/x", tmp_path)
    assert isinstance(caught.value, PackagerError)
    assert time.monotonic() - started < 30
