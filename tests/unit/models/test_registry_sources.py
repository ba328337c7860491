"""Whoever writes to a registry chooses the addresses in it; a build follows few of them."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from packager.errors import ModelNotFoundError, PackagerError, RegistryUnavailableError
from packager.models import registry_sources
from packager.models.registry import MlflowRegistry
from packager.pipeline.resolve import resolve
from packager.types import make_request
from tests import registries
from tests.registries import Written

SERVER = "https://me:word@mlflow.example:8443/prefix"
AT_AZURE = "@acct.dfs.core.windows.net/a"


@pytest.mark.parametrize(
    "source",
    [
        "s3://bucket/1/model",
        "gs://bucket/1/model",
        "dbfs:/models/1",
        "mlflow-artifacts:/1/model",
        "mlflow-artifacts://mlflow.example:8443/1/model",
        "https://mlflow.example:8443/prefix/api/2.0/mlflow-artifacts/artifacts/1",
        "models:/churn/1",
        f"abfss://c{AT_AZURE}",
        "wasbs://c@acct.blob.core.windows.net/a",
        "abfss://w@onelake.dfs.fabric.microsoft.com/a",
        "abfss://c@acct.z12.dfs.core.usgovcloudapi.net/a",
        # a folder's name may have what a host's may not
        "s3://bucket/e\u00a0x/model",
        "s3://bucket/\u200fx\u3000y/model",
    ],
)
def test_stores_that_a_user_expects_are_opened(source: str) -> None:
    registry_sources.check_source(source, [SERVER])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mlflow-artifacts://evil.example/1/model", "your credentials to evil.example"),
        ("mlflow-artifacts://mlflow.example/1", "your credentials"),
        ("http://169.254.169.254/latest/meta-data", "your credentials"),
        ("https://mlflow.example:8443@evil.example/x", "your credentials to evil.example"),
        ("abfss://c@acct.evil.example/a", "a token of Azure's to acct.evil.example"),
        ("abfss://c@core.windows.net.evil.example/a", "a token of Azure's"),
        ("abfss://c@evilcore.windows.net/a", "a token of Azure's"),
        ("s3://bucket/store/../../other/model", "climbs out of its store"),
        ("mlflow-artifacts:/1/%2e%2e/%2e%2e/etc", "climbs out of its store"),
        ("file:///store/../etc", "climbs out of its store"),
        ("../../etc", "climbs out of its store"),
        ("s3://[::1/model", "which is no address"),
        ("https://host:99999999/model", "which is no address"),
        # what this reads as the host after the sign, those who send a request read otherwise
        ("https://evil.example\\@mlflow.example:8443/x", "which is no address"),
        ("mlflow-artifacts://evil.example\\@mlflow.example:8443/x", "which is no address"),
        ("https://evil.example\t@mlflow.example:8443/x", "which is no address"),
        ("https:evil.example/x", "which is no address"),
        ("https://mlflow.example\u00a0:8443/x", "which is no address"),
        ("s3://bucket\u202e/x", "which is no address"),
        ("s3://bucket/x\r\ny", "which is no address"),
        ("s3://bucket/x\x9by", "which is no address"),
        ("s3://bucket/x\ud800y", "which is no address"),
        ("https:///evil.example/x", "which is no address"),
    ],
)
def test_other_addresses_are_not(source: str, said: str) -> None:
    with pytest.raises(RegistryUnavailableError, match=said):
        registry_sources.check_source(source, [SERVER])


@pytest.mark.parametrize("form", ["{path}", "file://{path}"])
def test_a_local_folder_is_opened_where_it_holds_a_model(form: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="holds no MLmodel"):
        registry_sources.check_source(form.format(path=tmp_path), [])
    (tmp_path / "MLmodel").touch()
    registry_sources.check_source(form.format(path=tmp_path), [])


@pytest.mark.parametrize(
    ("address", "store", "expected"),
    [
        ("s3://bucket/data/train.csv", "s3://bucket/mlruns/1/artifacts", True),
        ("s3://bucket/e\u00a0x/train.csv", "s3://bucket/mlruns/1/artifacts", True),
        ("s3://bucket/e\x1bx/train.csv", "s3://bucket/mlruns/1/artifacts", False),
        ("mlflow-artifacts:/1/x/train.csv", "mlflow-artifacts:/1/y/artifacts", True),
        (f"abfss://c{AT_AZURE}/train.csv", f"abfss://c{AT_AZURE}", True),
        ("s3://other/train.csv", "s3://bucket/mlruns", False),
        ("s3://bucket@evil/train.csv", "s3://bucket/mlruns", False),
        ("s3://bucket/../other/train.csv", "s3://bucket/mlruns", False),
        ("https://bucket/train.csv", "s3://bucket/mlruns", False),
        ("http://evil.example/train.csv", "http://evil.example/x", False),
        ("mlflow-artifacts://evil.example/train.csv", "mlflow-artifacts:/1", False),
        ("runs:/abc/train.csv", "mlflow-artifacts:/1", False),
        ("/etc/train.csv", "/etc", False),
        ("file:///store/1/train.csv", "file:///store/1", False),
        ("train.csv", "", False),
        ("../train.csv", "s3://bucket", False),
        ("s3://[::1/train.csv", "s3://[::1", False),
        ("s3://bucket/train.csv", "s3://[", False),
        ("~/train.csv", "s3://bucket", False),
    ],
)
def test_a_training_set_is_read_from_the_run_s_own_remote_store_alone(
    address: str, store: str, *, expected: bool
) -> None:
    assert registry_sources.is_in_store(address, store) is expected


@pytest.fixture
def written(tmp_path: Path, quiet: None) -> Written:
    return registries.unpack(registries.VERSIONS[-1], tmp_path / "owner")


def _log_dataset(written: Written, source: str) -> None:
    with closing(sqlite3.connect(written.path)) as db:
        db.execute(
            "insert into datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type,"
            " dataset_source) values ('d', 1, 'train', 'x', 'local', ?)",
            (source,),
        )
        db.execute(
            "insert into inputs (input_uuid, source_type, source_id, destination_type,"
            " destination_id, step) values ('i', 'DATASET', 'd', 'RUN', ?, 0)",
            (written.run_id,),
        )
        db.execute("insert into input_tags values ('i', 'mlflow.data.context', 'training')")
        db.commit()


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Files that this process opens, from now on."""
    import sys

    seen: list[str] = []
    active = True

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event in {"open", "os.scandir", "os.listdir"}:
            seen.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")

    sys.addaudithook(note)
    yield seen
    active = False


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "form", ["{path}", "file://{path}", "{relative}", "{link}", "file:{path}", "~/train.csv"]
)
def test_a_local_training_set_is_not_opened_and_a_note_says_so(
    form: str,
    written: Written,
    tmp_path: Path,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = tmp_path / "home" / "train.csv"
    secret.parent.mkdir()
    secret.write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "link.csv").symlink_to(secret)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(secret.parent))
    address = form.format(path=secret, relative="home/train.csv", link=tmp_path / "link.csv")
    _log_dataset(written, json.dumps({"uri": address}))

    request = make_request(model_uri="models:/churn/1", out_dir=tmp_path / "out")
    (work := tmp_path / "work").mkdir()
    opened.clear()
    model = resolve(request, MlflowRegistry(tracking_uri=written.uri), work)

    assert model.baseline_source == "the saved example"
    (note,) = [note for note in model.notes if "training set" in note]
    assert address in note
    assert "--baseline" in note
    assert not [name for name in opened if name.endswith(("train.csv", "link.csv"))]


@pytest.mark.few(3)
@pytest.mark.parametrize("source", ["{", "[" * 100_000, "[]", '"x"', '{"uri": 5}', "{}", "5"])
def test_a_dataset_s_source_may_be_anything(source: str, written: Written, tmp_path: Path) -> None:
    _log_dataset(written, source)
    found = MlflowRegistry(tracking_uri=written.uri).fetch("models:/churn/1", tmp_path / "work")
    assert (found.training, found.notes) == (None, ())


@pytest.mark.parametrize("there", [True, False])
def test_a_training_set_in_the_run_s_store_is_fetched(
    *, there: bool, written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.artifacts

    _log_dataset(written, json.dumps({"uri": "s3://bucket/data/train.csv"}))
    with closing(sqlite3.connect(written.path)) as db:
        db.execute("update runs set artifact_uri = 's3://bucket/1/artifacts'")
        db.commit()

    def download(artifact_uri: str, dst_path: str, **_: Any) -> str:
        assert artifact_uri == "s3://bucket/data/train.csv"
        if not there:
            raise OSError(2, "nothing")
        (path := Path(dst_path) / "train.csv").write_text("a\n1\n", encoding="utf-8")
        return str(path)

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", download)
    found = MlflowRegistry(tracking_uri=written.uri).fetch("models:/churn/1", tmp_path / "work")
    assert (found.training is not None, len(found.notes)) == (there, int(not there))


def _say_source(written: Written, source: str) -> None:
    with closing(sqlite3.connect(written.path)) as db:
        db.execute("update model_versions set source = ?, storage_location = ?", (source, source))
        db.commit()


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "form",
    [
        "file:///etc",
        "/etc",
        "/",
        "file://{store}/../home",
        "http://127.0.0.1:9/x",
        "mlflow-artifacts://127.0.0.1:9/x",
    ],
)
def test_a_version_s_source_leads_nowhere_else(
    form: str, written: Written, tmp_path: Path, opened: list[str]
) -> None:
    (tmp_path / "owner" / "home").mkdir()
    (tmp_path / "owner" / "home" / "MLmodel").touch()
    _say_source(written, form.format(store=tmp_path / "owner" / "store"))
    with pytest.raises(PackagerError):
        MlflowRegistry(tracking_uri=written.uri).fetch("models:/churn/1", tmp_path / "work")
    assert not {"/etc", "/", str(tmp_path / "owner" / "home")}.intersection(opened)


@pytest.mark.parametrize("name", ["models:/churn/1", "runs:/{run}/model"])
def test_a_link_in_a_store_is_not_followed_out_of_the_model(
    name: str, written: Written, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    folder = tmp_path / "owner" / "store" / written.run_id / "artifacts" / "model"
    (folder / "extra").symlink_to(tmp_path / "secret")
    with pytest.raises(PackagerError, match="links that lead out of it"):
        MlflowRegistry(tracking_uri=written.uri).fetch(
            name.format(run=written.run_id), tmp_path / "work"
        )


@pytest.mark.parametrize("path", ["../model", "model/../../x", "nothing", "it's"])
def test_a_run_s_model_lies_in_the_run(path: str, written: Written, tmp_path: Path) -> None:
    with pytest.raises(PackagerError):
        MlflowRegistry(tracking_uri=written.uri).fetch(
            f"runs:/{written.run_id}/{path}", tmp_path / "work"
        )


@pytest.mark.parametrize(
    "status", ["PENDING_REGISTRATION", "FAILED_REGISTRATION", "DEPLOYMENT_JOB_CONNECTION_FAILED"]
)
def test_a_version_that_is_not_ready_is_not_built(
    status: str, written: Written, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(written.path)) as db:
        db.execute("update model_versions set status = ?", (status,))
        db.commit()
    with pytest.raises(ModelNotFoundError, match=f"not ready: its status is {status}"):
        MlflowRegistry(tracking_uri=written.uri).fetch("models:/churn/1", tmp_path / "work")
    assert not (tmp_path / "work").exists()


def _logged(uri: str, *contexts: str) -> SimpleNamespace:
    tags = [SimpleNamespace(key="mlflow.data.context", value=each) for each in contexts]
    dataset = SimpleNamespace(source=json.dumps({"uri": uri}))
    return SimpleNamespace(dataset=dataset, tags=tags)


@pytest.mark.parametrize(
    ("inputs", "address"),
    [
        ([], ""),
        ([_logged("s3://b/test.csv", "eval"), _logged("s3://b/x.csv", "training")], "s3://b/x.csv"),
        ([_logged("s3://b/x.csv", "a", "training"), _logged("s3://b/y.csv")], "s3://b/x.csv"),
        # of none it is said: the first
        ([_logged("s3://b/y.csv"), _logged("s3://b/z.csv", "eval")], "s3://b/y.csv"),
        # what is no table goes by
        ([_logged("s3://b/x.zip", "training"), _logged("s3://b/Y.CSV")], "s3://b/Y.CSV"),
    ],
    ids=["none", "training last", "training first", "unsaid", "no table"],
)
def test_the_table_that_was_logged_for_training_goes_first(inputs: list[Any], address: str) -> None:
    run = SimpleNamespace(inputs=SimpleNamespace(dataset_inputs=inputs))
    assert registry_sources.read_table_address(run) == address


@pytest.mark.parametrize(
    "source",
    [
        "https://a.example/$(touch x)/model",
        "https://a.example/'; touch x; '",
        "https://a.example/m && touch x",
        "https://a.example/`touch x`",
        "https://a.example/m\x1b[2K\rtouch x",
    ],
)
def test_the_line_to_type_next_is_one_argument_whatever_the_registry_names(source: str) -> None:
    error = registry_sources._make_refusal(source, "why")
    line = str(error).rpartition("`packager build ")[2].removesuffix("`.")

    assert str(error).replace("\n", "").isprintable()
    assert shlex.split(line) == ["".join(c if c.isprintable() else "?" for c in source)]
