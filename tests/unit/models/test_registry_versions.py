"""Which version of a model is fetched, from where, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import artifacts
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from packager.errors import ModelNotFoundError, PackagerError, RegistryUnavailableError
from packager.models import registry
from packager.models.model_uri import Logged, OfRun, Registered, Stored

ABSENT = MlflowException("absent", error_code=codes.RESOURCE_DOES_NOT_EXIST)
UNKNOWN = MlflowException("unknown", error_code=codes.INVALID_PARAMETER_VALUE)
DENIED = MlflowException("denied", error_code=codes.PERMISSION_DENIED)


@dataclass
class Client:
    """A registry of one model, `churn`, with versions 2, 9 and 10, and a run `r1`."""

    source: str
    status: str | None = "READY"
    failure: MlflowException = ABSENT
    staged: tuple[int, ...] = (9, 10)
    versions: tuple[int, ...] = (10, 2, 9)
    artifact_uri: str = "s3://bucket/1/r1/artifacts"
    logged: tuple[Any, ...] = ()
    asked: list[Any] = field(default_factory=list)

    def get_registered_model(self, name: str) -> Any:
        if name != "churn":
            raise self.failure
        return SimpleNamespace(name=name, aliases={"champion": "9", "b": "2", "gone": "7"})

    def get_latest_versions(self, name: str, stages: list[str]) -> Any:
        self.asked.append((name, stages))
        return [SimpleNamespace(version=str(each)) for each in self.staged]

    def search_model_versions(self, query: str) -> Any:
        self.asked.append(query)
        return [SimpleNamespace(version=str(each)) for each in self.versions]

    def search_registered_models(self, max_results: int) -> Any:
        self.asked.append(max_results)
        return [SimpleNamespace(name="churn")]

    def get_model_version(self, name: str, version: str) -> Any:
        if int(version) not in self.versions:
            raise self.failure
        told = {} if self.status is None else {"status": self.status}
        return SimpleNamespace(
            name=name, version=int(version), aliases=["b", "a"], run_id="", model_id="", **told
        )

    def get_model_version_download_uri(self, _name: str, version: int) -> str:
        self.asked.append(version)
        return self.source

    def get_logged_model(self, model_id: str) -> Any:
        if model_id != "m-1":
            raise self.failure
        return SimpleNamespace(name="", source_run_id="", artifact_location=self.source)

    def get_run(self, run_id: str) -> Any:
        if run_id != "r1":
            raise self.failure
        info = SimpleNamespace(run_id=run_id, artifact_uri=self.artifact_uri, experiment_id="4")
        return SimpleNamespace(info=info, inputs=None)

    def search_logged_models(self, experiment_ids: list[str], filter_string: str) -> Any:
        self.asked.append((experiment_ids, filter_string))
        return self.logged

    def list_artifacts(self, _run_id: str) -> Any:
        return [SimpleNamespace(path="model")]


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(source=str(write_model(tmp_path / "store" / "kept")))


def open_session(client: Client | None, registry_uri: str = "http://host") -> Any:
    return registry._Session(
        client=client,
        tracking_uri="http://host",
        registry_uri=registry_uri,
        asked=("http://host",),
        where="host",
    )


@pytest.mark.parametrize(
    ("model", "version"),
    [
        (Registered(name="churn", version="2"), "2"),
        (Registered(name="churn", alias="champion"), "9"),
        (Registered(name="churn", stage="Production"), "10"),
        (Registered(name="churn", latest=True), "10"),
    ],
)
def test_each_form_names_a_version(
    model: Registered, version: str, client: Client, tmp_path: Path
) -> None:
    fetched = open_session(client).fetch(model, tmp_path / "work")
    assert (fetched.name, fetched.version) == ("churn", version)
    assert (fetched.aliases, fetched.run_id, fetched.model_id) == (("a", "b"), None, None)
    assert client.asked[-1] == int(version)
    assert (fetched.folder / "MLmodel").is_file()
    assert fetched.folder.is_relative_to(tmp_path / "work")


@pytest.mark.parametrize("failure", [ABSENT, UNKNOWN], ids=["absent", "unknown"])
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Registered(name="churn", version="3"), "has no version 3."),
        (Registered(name="churn", alias="x"), "has no alias 'x'."),
        (Registered(name="churn", alias="gone"), "has no alias 'gone'."),
        (Registered(name="churn"), "is there, but a version must be named too"),
    ],
)
def test_a_version_that_is_not_there_is_said_with_those_that_are(
    model: Registered, said: str, failure: MlflowException, client: Client, tmp_path: Path
) -> None:
    client.failure = failure
    with pytest.raises(ModelNotFoundError) as caught:
        open_session(client).fetch(model, tmp_path / "work")
    assert said in str(caught.value)
    assert str(caught.value).endswith(
        "Versions: 2, 9, 10. Aliases: b (version 2), champion (version 9), gone (version 7)."
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Registered(name="churn", stage="Staging"), "has no version in a stage 'Staging'."),
        (Registered(name="churn", latest=True), "has no version."),
    ],
)
def test_a_model_without_versions_is_said(
    model: Registered, said: str, client: Client, tmp_path: Path
) -> None:
    client.staged = client.versions = ()
    with pytest.raises(ModelNotFoundError, match=f"Model 'churn' {said}\nVersions: none"):
        open_session(client).fetch(model, tmp_path / "work")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Registered(name="other", version="1"), "No registered model 'other' in host. .*: churn."),
        (Logged("m-2"), "No model m-2 in host"),
        (OfRun("r2", "model"), "No run r2 in host"),
    ],
)
def test_what_is_not_there_is_said(model: Any, said: str, client: Client, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=said):
        open_session(client).fetch(model, tmp_path / "work")
    client.failure = DENIED
    with pytest.raises(MlflowException, match="denied"):
        open_session(client).fetch(model, tmp_path / "work")


@pytest.mark.parametrize(("count", "said"), [(20, ", 19"), (21, ", 19 and 1 more")])
def test_a_long_list_is_cut(count: int, said: str) -> None:
    assert registry._format_names([str(each) for each in range(count)]).endswith(said)


@pytest.mark.parametrize(("name", "query"), [("a", "name='a'"), ("it's", 'name="it\'s"')])
def test_a_name_with_a_quote_is_asked_for(name: str, query: str, client: Client) -> None:
    assert open_session(client)._versions(name) == [2, 9, 10]
    assert client.asked == [query]


@pytest.mark.parametrize("status", ["PENDING_REGISTRATION", "FAILED_REGISTRATION", "None", "ready"])
def test_what_is_not_ready_is_not_fetched(status: str, client: Client, tmp_path: Path) -> None:
    client.status = status
    with pytest.raises(ModelNotFoundError, match=f"not ready: its status is {status}"):
        open_session(client).fetch(Registered(name="churn", version="2"), tmp_path / "work")
    assert client.asked == []
    assert not (tmp_path / "work").exists()


def test_a_registry_that_knows_no_status_is_taken_as_ready(client: Client, tmp_path: Path) -> None:
    client.status = None
    model = Registered(name="churn", version="2")
    assert open_session(client).fetch(model, tmp_path / "work").version == "2"


Download = Callable[..., str]


def download_to(monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]) -> list[str]:
    """Have MLflow's download fill the folder by `make`; the addresses that it was asked for."""
    asked: list[str] = []

    def download(*, artifact_uri: str, dst_path: str, tracking_uri: str, registry_uri: str) -> str:
        asked.append(artifact_uri)
        assert tracking_uri == "http://host"
        assert registry_uri
        return str(make(Path(dst_path)))

    monkeypatch.setattr(artifacts, "download_artifacts", download)
    return asked


def test_databricks_is_asked_through_the_registry_alone(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = download_to(monkeypatch, lambda folder: write_model(folder / "m"))
    model = Registered(name="churn", version="2")
    open_session(client, "databricks-uc").fetch(model, tmp_path / "work")
    assert asked == ["models:/churn/2"]
    assert client.asked == []


def make_file(folder: Path) -> Path:
    (folder / "x").touch()
    return folder / "x"


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda folder: folder.parent.parent, RegistryUnavailableError, "was not copied"),
        (lambda folder: Path("/"), RegistryUnavailableError, "the store gave /"),
        (lambda folder: folder, ModelNotFoundError, "no model folder at s3://b/m"),
        (make_file, ModelNotFoundError, "no model folder"),
    ],
)
def test_a_download_is_a_folder_of_ours_that_holds_something(
    make: Callable[[Path], Path],
    kind: type[PackagerError],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    download_to(monkeypatch, make)
    with pytest.raises(kind, match=said):
        open_session(None).fetch(Stored("s3://b/m"), tmp_path / "a" / "work")


@pytest.mark.parametrize("uri", ["s3://b/x/m", "s3://b/x/m/"])
def test_an_address_names_its_model_by_its_last_part(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download_to(monkeypatch, lambda folder: write_model(folder / "m"))
    fetched = open_session(None).fetch(Stored(uri), tmp_path / "work")
    assert (fetched.name, fetched.version) == ("m", None)
    assert fetched.folder == tmp_path / "work" / "model" / "m"


def test_a_source_that_would_be_sent_credentials_is_not_asked(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = download_to(monkeypatch, lambda folder: write_model(folder / "m"))
    client.source = client.artifact_uri = "https://evil.example/m"
    for model in (Registered(name="churn", version="2"), Logged("m-1"), OfRun("r1", "model")):
        with pytest.raises(RegistryUnavailableError, match="your credentials"):
            open_session(client).fetch(model, tmp_path / "work")
    assert asked == []


def test_a_logged_model_without_a_name_has_its_id(client: Client, tmp_path: Path) -> None:
    fetched = open_session(client).fetch(Logged("m-1"), tmp_path / "work")
    assert (fetched.name, fetched.run_id, fetched.model_id) == ("m-1", None, "m-1")


def test_a_run_s_model_in_a_remote_store_is_asked_for_by_its_run(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = download_to(monkeypatch, lambda folder: write_model(folder / "m"))
    fetched = open_session(client).fetch(OfRun("r1", "a/model"), tmp_path / "work")
    assert asked == ["runs:/r1/a/model"]
    assert (fetched.name, fetched.run_id) == ("model", "r1")


@pytest.mark.parametrize(
    ("words", "kind"), [("404 Not Found", ModelNotFoundError), ("Broken pipe", OSError)]
)
def test_only_what_is_missing_from_a_run_is_no_model(
    words: str, kind: type[Exception], client: Client, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(_folder: Path) -> Path:
        raise OSError(words)

    download_to(monkeypatch, fail)
    with pytest.raises(kind, match=r"At its top there is: model\.|Broken pipe"):
        open_session(client).fetch(OfRun("r1", "model"), tmp_path / "work")


def test_a_run_s_own_folder_comes_before_its_logged_models(client: Client, tmp_path: Path) -> None:
    client.artifact_uri = str(tmp_path / "run")
    write_model(tmp_path / "run" / "model")
    open_session(client).fetch(OfRun("r1", "model"), tmp_path / "work")
    assert client.asked == []


def test_a_logged_model_of_another_run_is_not_taken(client: Client, tmp_path: Path) -> None:
    client.artifact_uri = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    other = SimpleNamespace(source_run_id="r0", artifact_location="/nowhere")
    client.logged = (other,)
    with pytest.raises(ModelNotFoundError, match="Run r1 has no 'model'"):
        open_session(client).fetch(OfRun("r1", "model"), tmp_path / "work")
    client.logged = (other, SimpleNamespace(source_run_id="r1", artifact_location=client.source))
    fetched = open_session(client).fetch(OfRun("r1", "model"), tmp_path / "work")
    assert (fetched.folder / "MLmodel").is_file()
    assert client.asked == [(["4"], "name = 'model'")] * 2


def test_a_path_with_a_quote_is_put_in_no_query(client: Client, tmp_path: Path) -> None:
    client.artifact_uri = str(tmp_path / "run")
    with pytest.raises(ModelNotFoundError):
        open_session(client).fetch(OfRun("r1", "it's"), tmp_path / "work")
    assert client.asked == []
